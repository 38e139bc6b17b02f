"""What users did, joined to what they did it about: the record that reports and learning read."""

from msgspec import Struct

from schemas.decision import Assignment, Decision
from schemas.events import EpochMs, Name, TenantId
from schemas.outcome import UserOutcome
from schemas.vocabulary import Cause, HeldBy, Locale, Reason, Rung, Strategy, Tier


class About(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The decision that an outcome came of, as far as it is compared and learned from.

    `decided_at` is its event time (epoch ms). `offer` is the id that an arm named, empty for none; null where
    the tenant's catalogue chose. `rules` is their version, `assigned` the arms with their propensities.
    """

    decision_id: Name
    tenant: TenantId
    user_id: Name
    cause: Cause
    tier: Tier
    strategy: Strategy
    decided_at: EpochMs
    plan: str = "free"
    reason: Reason | None = None
    held_by: HeldBy | None = None
    offer: str | None = None
    locale: Locale | None = None
    rung: Rung | None = None
    model: str | None = None
    model_version: str | None = None
    rules: str = ""
    assigned: tuple[Assignment, ...] = ()

    @property
    def key(self) -> str:
        """`tenant/user_id`."""
        return f"{self.tenant}/{self.user_id}"


class Feedback(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An outcome and what it is about; `after_ms` is the time between the two, below 0 where clocks differ.

    A function of its two records alone: whatever is done again after a crash gives the same bytes under the
    same key. What was simulated says so in `outcome.simulated`.
    """

    outcome: UserOutcome
    about: About
    after_ms: int

    @property
    def key(self) -> str:
        """The key of the record: of an outcome there is one, however often it was sent."""
        return outcome_key(self.outcome)


def outcome_key(outcome: UserOutcome) -> str:
    """What tells an outcome from all others, `tenant/outcome_id`."""
    return f"{outcome.tenant}/{outcome.outcome_id}"


def about(decision: Decision) -> About:
    """What is kept of `decision` for the outcomes that come of it."""
    ruling, script = decision.ruling, decision.script
    return About(
        decision_id=decision.id,
        tenant=decision.tenant,
        user_id=decision.user_id,
        cause=decision.cause,
        tier=decision.to_tier,
        strategy=decision.strategy,
        decided_at=decision.at if ruling is None else ruling.standing.at,
        plan="free" if ruling is None else ruling.standing.plan,
        reason=decision.reason,
        held_by=decision.held_by,
        offer=None if ruling is None else ruling.treatment.offer,
        locale=None if script is None else script.locale,
        rung=None if script is None else script.rung,
        model=None if script is None else script.model,
        model_version=None if script is None else script.model_version,
        rules="" if ruling is None else ruling.version,
        assigned=() if ruling is None else ruling.assigned,
    )


def join(outcome: UserOutcome, of: About) -> Feedback:
    """The record for `outcome`, which came of the decision `of`."""
    return Feedback(outcome=outcome, about=of, after_ms=outcome.ts - of.decided_at)
