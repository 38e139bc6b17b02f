"""Records for tests: what they must have, and what a test says of them."""

from typing import Any

from schemas.decision import Crossing, Decision, Script, Timing
from schemas.vocabulary import Cause, Locale, Outcome, Rung, Tier

AT = 1_700_000_000_000
_CROSSED: dict[str, Any] = {
    "id": "d1",
    "tenant": "acme",
    "user_id": "u1",
    "cause": Cause.DECLINE,
    "at": AT,
    "from_tier": Tier.MEDIUM,
    "to_tier": Tier.HIGH,
    "activity": 28.6,
    "recent": 6,
    "prior": 69,
    "usual": 21.0,
}


def crossing(**said: Any) -> Crossing:
    """A decline of `acme/u1` to `high`."""
    return Crossing(**(_CROSSED | said))


def decision(**said: Any) -> Decision:
    """What was decided on that decline: sent, unless a rule is said to hold it."""
    fields = _CROSSED | {"timing": Timing(detected_ms=0.0, published_ms=1.0)} | said
    made = {"outcome": Outcome.HELD if said.get("held_by") else Outcome.SENT}
    return Decision(**(made | {"strategy": fields["to_tier"].strategy} | fields))


def script(**said: Any) -> Script:
    """A draft of the small model."""
    written: dict[str, Any] = {
        "text": "Hi",
        "locale": Locale.EN,
        "rung": Rung.DRAFT,
        "model": "holdfast-nano",
        "model_version": "1",
        "age_ms": 1.0,
    }
    return Script(**(written | said))
