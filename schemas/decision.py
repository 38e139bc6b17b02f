"""Crossings, the scripts written ahead of them, and the decision record that each of them becomes."""

from hashlib import blake2b
from typing import Annotated

from msgspec import Meta, Struct, field

from schemas.events import Account, EpochMs, Name, TenantId
from schemas.risk import Assessment
from schemas.vocabulary import Cause, HeldBy, Locale, Outcome, Reason, Rung, Strategy, Tier

Percent = Annotated[float, Meta(ge=0, le=100)]


def decision_id(tenant: str, user_id: str, cause: Cause, at: int | str) -> str:
    """The id of a crossing's decision: a pure function, so that a replay gives it again.

    `at` is the pane boundary (epoch ms) of a decline or rise, the event id of a risk crossing.

    >>> decision_id("acme", "u1", Cause.DECLINE, 1_700_000_000_000)
    '62b219671b6f869acca2ffbd0f71ce86'
    """
    text = f"{tenant}/{user_id}\n{cause}\n{at}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


class Crossing(Struct, frozen=True, kw_only=True):
    """A threshold was crossed. On the topic `crossings` when a script must still be composed.

    `at` is the boundary of the pane (decline, rise) or the time of the event (risk); `recent`,
    `prior` and `usual` are what `activity` was computed from. At a risk crossing the tier stays as it is, and
    `risk` tells why. `detected_ms` is the processing time (epoch ms, fractions kept) at which the operator's
    watermark passed `at`, stamped by the engine; at a risk crossing it is that of the assessment.
    """

    id: str
    tenant: TenantId
    user_id: Name
    cause: Cause
    at: EpochMs
    from_tier: Tier
    to_tier: Tier
    activity: Percent
    recent: int
    prior: int
    usual: float
    account: Account | None = None
    no_draft: str = ""
    """Why no script that was written ahead could be used."""
    detected_ms: float = 0.0
    risk: Assessment | None = None

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.user_id}"


class Script(Struct, frozen=True, kw_only=True):
    """A script as the user gets it, and where it came from. `age_ms` counts from its writing."""

    text: str
    locale: Locale
    rung: Rung
    model: str
    model_version: str
    age_ms: float


class DraftRequest(Struct, frozen=True, kw_only=True):
    """A script is wanted ahead: `crossing` is what will happen if no event of the user comes before.

    `asked_at` is the event time at which it was asked for. A later request for the same user, or any
    event of theirs, makes the answer to this one stale.
    """

    crossing: Crossing
    asked_at: EpochMs


class Draft(Struct, frozen=True, kw_only=True, tag="draft", tag_field="kind"):
    """A script that waits in the user's state for the crossing it was written for.

    `id` and `at` are the crossing's, `asked_at` is the request's. The text is whole: slots are filled
    and the guard has passed it. `written_ms` (epoch ms) is when the model had written it.
    """

    id: str
    tenant: TenantId
    user_id: Name
    at: EpochMs
    asked_at: EpochMs
    reason: Reason
    text: str
    locale: Locale
    model: str
    model_version: str
    written_ms: float

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.user_id}"


class Timing(Struct, frozen=True, kw_only=True):
    """Processing times in epoch ms; `steps` holds the ms that each step took, in their order.

    `published_ms` is when the record was handed to the producer; the broker's append time, the
    record's own timestamp on the topic, is what the budget counts.
    """

    detected_ms: float
    steps: dict[str, float] = field(default_factory=dict)
    published_ms: float


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided on one crossing: a script sent, or held back and by which rule."""

    id: str
    tenant: TenantId
    user_id: Name
    cause: Cause
    at: EpochMs
    from_tier: Tier
    to_tier: Tier
    activity: Percent
    outcome: Outcome
    held_by: HeldBy | None = None
    strategy: Strategy
    reason: Reason | None = None
    script: Script | None = None
    fallbacks: dict[Rung, str] = field(default_factory=dict)
    """Why each rung above the one that was taken gave no script."""
    risk: Assessment | None = None
    """What a risk crossing came from."""
    timing: Timing
