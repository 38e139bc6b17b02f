"""The gate at a crossing: whether its user may be written to now, which rule says no, and when none would.

The rules are asked in one order, and the first that says no is named: what the law or the user wants before
what the tenant wants, and last what only compares or looks on, so that a user who is held out is one who
would have been written to.
"""

from collections.abc import Iterator

import msgspec

from operators.calendar import allowed_ms, capped_until, zone
from operators.experiment import assign, held_out
from operators.window import PANE_MS, phase_ms
from schemas.decision import AGAIN, Crossing, Ruling, Standing
from schemas.policy import Policy, Rules
from schemas.vocabulary import Cause, HeldBy

DAY_MS = 86_400_000
SENT_MS = 32 * DAY_MS
"""How long a script may count for a cap: 31 calendar days, wherever the user is."""

ORDER = (
    HeldBy.REPLAY,
    HeldBy.CONSENT,
    HeldBy.SUPPRESSION,
    HeldBy.RISE,
    HeldBy.SUPERSEDED,
    HeldBy.COOLDOWN,
    HeldBy.FREQUENCY_CAP,
    HeldBy.QUIET_HOURS,
    HeldBy.HOLDOUT,
    HeldBy.EXPERIMENT,
    HeldBy.DRY_RUN,
)
"""The order in which the rules are asked."""

_No = tuple[HeldBy, int | None]
"""A rule that says no, and when (epoch ms) it would not."""


def rule(rules: Rules, crossing: Crossing, standing: Standing) -> Ruling:
    """How `rules` decide `crossing`, which may be sent if its ruling has no `held_by`.

    >>> from schemas.policy import Cap, QuietHours
    >>> from schemas.vocabulary import Tier
    >>> crossing = Crossing(
    ...     id="d1", tenant="acme", user_id="u1", cause=Cause.DECLINE, at=3 * 3_600_000, from_tier=Tier.LOW,
    ...     to_tier=Tier.HIGH, activity=20.0, recent=4, prior=46, usual=20.0,
    ... )
    >>> rules = Rules(version="v1", default=Policy(quiet_hours=QuietHours(begin="21:00", end="08:00")))
    >>> ruling = rule(rules, crossing, Standing(at=crossing.at, tier=Tier.HIGH))
    >>> ruling.held_by.value, ruling.is_put_off, ruling.allowed_at // 60_000 - 8 * 60
    ('quiet_hours', True, 0)
    """
    policy = rules.of(crossing.tenant)
    assigned, treatment = assign(policy, crossing.key, crossing.id, crossing.to_tier, standing.plan)
    passable = policy.passes.get(crossing.to_tier, ())
    passed: list[HeldBy] = []
    held_by, allowed_at = None, None
    for says_no, until_ms in _says_no(policy, crossing, standing):
        if says_no not in passable:
            held_by, allowed_at = says_no, until_ms
            break
        passed.append(says_no)
    if held_by is None:
        held_by = _only_compares(policy, crossing.key, treatment.hold)
    return Ruling(
        version=rules.version,
        standing=standing,
        held_by=held_by,
        allowed_at=allowed_at,
        passed=tuple(passed),
        assigned=assigned,
        treatment=treatment,
    )


def put_off(crossing: Crossing) -> Crossing:
    """The crossing as it is decided again, once it has been put off."""
    return msgspec.structs.replace(crossing, id=crossing.id + AGAIN, ruling=None, detected_ms=0.0)


def _says_no(policy: Policy, crossing: Crossing, standing: Standing) -> Iterator[_No]:
    """Each rule that says no, in the order in which they are asked."""
    if standing.in_replay:
        yield HeldBy.REPLAY, None
    if not standing.consent:
        yield HeldBy.CONSENT, None
    if crossing.user_id in policy.suppressed:
        yield HeldBy.SUPPRESSION, None
    if crossing.cause is Cause.RISE and not standing.cared_for:
        yield HeldBy.RISE, None
    if crossing.id.endswith(AGAIN) and standing.tier is not crossing.to_tier:
        yield HeldBy.SUPERSEDED, None
    at, where = standing.at, zone(standing.time_zone, policy.time_zone)
    if standing.rose_at is not None and crossing.cause is not Cause.RISE:
        cool_ms = standing.rose_at + policy.cooldown_days * DAY_MS
        if at < cool_ms:
            yield HeldBy.COOLDOWN, cool_ms
    capped = [capped_until(at, cap, standing.sent, where) for cap in policy.caps]
    if any(until != at for until in capped):
        yield HeldBy.FREQUENCY_CAP, None if None in capped else max(filter(None, capped))
    if policy.quiet_hours is not None:
        minute_ms = allowed_ms(at, policy.quiet_hours, where)
        if minute_ms != at:
            yield HeldBy.QUIET_HOURS, minute_ms + _second_ms(crossing.key)


def _second_ms(key: str) -> int:
    """How far into its minute what was put off is decided: else a whole zone's users cross at once."""
    return phase_ms(key) * 60_000 // PANE_MS


def _only_compares(policy: Policy, key: str, hold: bool) -> HeldBy | None:
    if held_out(policy, key):
        return HeldBy.HOLDOUT
    if hold:
        return HeldBy.EXPERIMENT
    return HeldBy.DRY_RUN if policy.dry_run else None
