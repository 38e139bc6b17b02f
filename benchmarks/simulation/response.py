"""What a customer does with a message: opens it or not, and then as it fits what they need.

All that counts of a message stands in its record: strategy, offer, reason, text, language, time. Chance comes
from the decision's id, so that no message changes another customer's fate.
"""

import zlib
from datetime import datetime

import numpy as np
from msgspec import Struct

from benchmarks.simulation.customers import CALM, FEATURE, TROUBLE, Customers, Mood
from benchmarks.simulation.parameters import (
    OFFER_COST,
    OFFER_FIT,
    OFFERS,
    PLANS,
    PROFILE,
    STRATEGY_FIT,
    WORTH,
    ZONES,
    Assumed,
    World,
)
from operators.calendar import zone
from schemas.decision import Decision
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.vocabulary import STRATEGIES, Locale, Reason

_OWN_REASONS = {Reason.ERRORS: TROUBLE, Reason.SUPPORT: TROUBLE, Reason.FEATURE_LOSS: FEATURE}
_PERSONAL = ("name", "feature", "logins_7d", "active_hours_7d", "usual_hours", "quiet_days")
_SOLD = {text: offer.id or "" for offer in PROFILE.offers for text in offer.text.values()}
_NIGHT = (22, 8)
_DEAF_CLICK = 0.1
_MINUTE_MS = 60_000


class Message(Struct, frozen=True, kw_only=True):
    """What a customer sees of a decision."""

    strategy: int
    offer: str
    about: int | None
    personal: int
    chars: int
    locale: Locale
    at: int


def message_of(decision: Decision) -> Message:
    """The message of a decision that was sent."""
    script = decision.script
    assert script is not None  # what is sent has a script
    facts = {} if script.told is None else script.told.facts
    offer = next((name for text, name in _SOLD.items() if text in script.text), "")
    own = sum(slot in facts and facts[slot] in script.text for slot in _PERSONAL)
    named = script.told is not None and script.told.named
    return Message(
        strategy=STRATEGIES.index(decision.strategy),
        offer=offer,
        about=None if decision.reason is None else _OWN_REASONS.get(decision.reason),
        personal=own + named,
        chars=len(script.text) * (2 if script.locale is Locale.ZH else 1),
        locale=script.locale,
        at=decision.at if decision.ruling is None else decision.ruling.standing.at,
    )


def fit(customers: Customers, who: int, need: int, message: Message, assumed: Assumed, world: World) -> float:
    """How well a message meets what the customer needs, 0 to 1."""
    strategy = STRATEGY_FIT[need][message.strategy] + customers.taste[who, message.strategy]
    place = OFFERS.index(message.offer)
    offer = OFFER_FIT[need][place] + customers.offer_taste[who, place]
    if message.offer in ("discount", "month"):
        offer *= 0.5 + customers.price_sensitive[who]
    matched = (strategy + offer) / 2
    if world is World.OPPOSITE:
        matched = 0.8 - matched
    matched += assumed.about_it * (message.about == need and need != CALM)
    matched += assumed.personal * min(3, message.personal) - 0.1 * (message.chars > assumed.wordy_chars)
    matched -= 0.3 * (message.locale is not customers.locale[who])
    return float(np.clip(matched, 0, 1))


class Answers(Struct):
    """What came of one message, and what it means for the tenant's purse."""

    outcomes: list[UserOutcome]
    fit: float = 0.0
    """How well the message met what the customer needed, which nobody is told; and the need, as an index."""
    need: int = CALM
    unsubscribed: bool = False
    revenue: float = 0.0
    cost: float = 0.0


def respond(
    customers: Customers, mood: Mood, who: int, decision: Decision, assumed: Assumed, world: World
) -> Answers:
    """Let customer `who` have the message; their mood changes, and what they do is returned."""
    message = message_of(decision)
    dice = np.random.default_rng(zlib.crc32(f"{customers.ids[who]}{decision.id}".encode()))
    opening, clicking, buying, meeting, annoying, scoring, returning = dice.random(7)
    clock = datetime.fromtimestamp(message.at / 1000, zone(ZONES[customers.zone[who]])).hour
    night = clock >= _NIGHT[0] or clock < _NIGHT[1]
    ts = message.at + 1000
    answers = Answers([])

    def tell(kind: OutcomeKind, value: float = 0.0) -> None:
        nonlocal ts
        ts += 5 * _MINUTE_MS
        answers.outcomes.append(outcome(decision, kind, ts, value))

    deaf, touchy = world is World.DEAF, world is World.TOUCHY
    need, annoyance = int(mood.need[who]), 0.0 if deaf else float(mood.annoyance[who])
    suits = 0.0 if deaf else fit(customers, who, need, message, assumed, world)
    answers.fit, answers.need = suits, need
    tell(OutcomeKind.DELIVERED)
    if not deaf:
        mood.annoyance[who] += assumed.annoyed * (1 + night) * (1.5 - suits) * (1 + touchy)
    # Complaints and opt-outs come from annoyance; with deaf ears they come at a constant rate.
    if annoying < 0.01 * np.exp(annoyance):
        answers.unsubscribed = annoying < 0.005 * np.exp(annoyance)
        tell(OutcomeKind.UNSUBSCRIBED if answers.unsubscribed else OutcomeKind.COMPLAINT)
    gone = 0.0 if mood.here[who] else 2.0
    if opening >= _odds(customers.opens[who] - 0.6 * night * (not deaf) - 0.7 * annoyance - gone):
        return answers
    tell(OutcomeKind.OPENED)
    if not deaf:
        mood.satisfaction[who] += assumed.relief * (suits - (assumed.touchy_par if touchy else assumed.par))
        if not mood.here[who] and not mood.cancelled[who] and returning < assumed.won_back * suits:
            mood.here[who] = True
    if clicking < (
        _DEAF_CLICK if deaf else _odds(assumed.click_base - 0.5 + assumed.click_slope * (suits - 0.4))
    ):
        tell(OutcomeKind.CLICKED if scoring > 0.2 else OutcomeKind.REPLIED)
        answers.cost = OFFER_COST[message.offer]
        if not deaf and meeting < assumed.resolved * suits:
            mood.need[who] = CALM
        if buying < (0.1 if deaf else assumed.convert * suits):
            answers.revenue = WORTH[PLANS[customers.plan[who]]]
            tell(OutcomeKind.CONVERTED, answers.revenue)
    if scoring < 0.1:
        tell(OutcomeKind.NPS, float(np.clip(round(7 + 2 * mood.satisfaction[who]), 0, 10)))
    return answers


def outcome(decision: Decision, kind: OutcomeKind, ts: int, value: float = 0.0) -> UserOutcome:
    """A simulated outcome of `decision`."""
    return UserOutcome(
        outcome_id=f"{decision.id}-{kind}",
        decision_id=decision.id,
        tenant=decision.tenant,
        user_id=decision.user_id,
        kind=kind,
        ts=ts,
        value=value,
        simulated=True,
    )


def _odds(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
