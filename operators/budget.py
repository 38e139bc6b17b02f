"""A tenant's offers of the day: the one rule that looks at all of a tenant's users at once.

Crossings whose script may carry an offer are counted in the order of their time of decision, those of equal
times in the order of their ids, so that a replay gives the offers to the same users.
"""

from datetime import date, timedelta

import msgspec
from msgspec import Struct

from operators.calendar import day_of, midnight_ms, zone
from schemas.decision import Crossing
from schemas.policy import Policy
from schemas.vocabulary import HeldBy


class Spent(Struct, frozen=True, array_like=True):
    """How many `offers` a tenant has made on `day`, on its own calendar."""

    day: date = date.min
    offers: int = 0


def spend(spent: Spent, policy: Policy, crossing: Crossing) -> tuple[Spent, Crossing]:
    """What is spent after `crossing`, and the crossing as the budget of `policy` decides it.

    Its ruling tells how many offers had been made that day before. A crossing of a day that is over, as an
    assessment that was long on its way may be, counts for the present one.

    >>> from schemas.decision import Ruling, Standing
    >>> from schemas.vocabulary import Cause, Tier
    >>> one = Crossing(
    ...     id="d1", tenant="acme", user_id="u1", cause=Cause.DECLINE, at=0, from_tier=Tier.LOW,
    ...     to_tier=Tier.HIGH, activity=20.0, recent=4, prior=46, usual=20.0,
    ...     ruling=Ruling(version="v1", standing=Standing(at=0, tier=Tier.HIGH)),
    ... )
    >>> spent, decided = spend(Spent(), Policy(offers_per_day=1), one)
    >>> decided.ruling.held_by, decided.ruling.offers_before
    (None, 0)
    >>> spent, decided = spend(spent, Policy(offers_per_day=1), one)
    >>> decided.ruling.held_by.value, decided.ruling.allowed_at
    ('offer_budget', 86400000)
    """
    ruling = crossing.ruling
    if ruling is None or policy.offers_per_day is None or not ruling.is_worded:
        return spent, crossing
    where = zone(policy.time_zone)
    today = day_of(crossing.decided_at, where)
    if today > spent.day:
        spent = Spent(today)
    if spent.offers < policy.offers_per_day:
        decided = msgspec.structs.replace(ruling, offers_before=spent.offers)
        spent = Spent(spent.day, spent.offers + 1)
    else:
        decided = msgspec.structs.replace(
            ruling,
            held_by=HeldBy.OFFER_BUDGET,
            allowed_at=midnight_ms(spent.day + timedelta(days=1), where),
            offers_before=spent.offers,
        )
    return spent, msgspec.structs.replace(crossing, ruling=decided)
