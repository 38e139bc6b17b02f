"""What came of a decision: did the user read it, answer, stay? The tenant reports it; nobody guesses it."""

from enum import StrEnum

from msgspec import Struct

from schemas.events import EpochMs, Name, TenantId


class OutcomeKind(StrEnum):
    """What was seen of the user after a script."""

    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    REPLIED = "replied"
    CONVERTED = "converted"
    NPS = "nps"
    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    CHURNED = "churned"


class UserOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that came of one decision. `outcome_id` tells a copy from a second one.

    `value` is the score of `nps` (0 to 10), or what a conversion was worth in the tenant's currency; 0 where
    the kind has none. `simulated` marks outcomes that a simulation made: they are never reported as real.
    """

    outcome_id: Name
    decision_id: Name
    tenant: TenantId
    user_id: Name
    kind: OutcomeKind
    ts: EpochMs
    value: float = 0.0
    simulated: bool = False

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.user_id}"
