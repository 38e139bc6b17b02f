"""Churn risk as it travels: a burst of errors that is worth a look, and what a look at a user came to."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.events import EpochMs, Name, TenantId, Usage
from schemas.vocabulary import Locale, Trigger

Share = Annotated[float, Meta(ge=0, le=1)]


class Burst(Struct, frozen=True, kw_only=True, tag="burst", tag_field="kind"):
    """Three uses of one user failed within ten minutes; `event_id` and `ts` are those of the last of them.

    `failures` are the uses, oldest first: the sequence in Redis may not have them yet.
    """

    event_id: Name
    tenant: TenantId
    user_id: Name
    ts: EpochMs
    failures: tuple[Usage, ...] = ()

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.user_id}"


class Sentiment(Struct, frozen=True, kw_only=True):
    """How a message sounds: the probability of each class, and the model's version."""

    negative: Share
    neutral: Share
    positive: Share
    model_version: str


class Effect(Struct, frozen=True, kw_only=True):
    """What one signal did to the estimate: `effect` is in log-odds, above 0 where it raised the risk.

    `value` is the signal's, in its own unit; null where it is not known of the user.
    """

    signal: str
    value: float | None
    effect: float


class Assessment(Struct, frozen=True, kw_only=True):
    """The probability that the user leaves; over the threshold also what raises it most, strongest first.

    `sentiment` is that of the last message to customer service, where there is one. `assessed_ms`
    (processing time, epoch ms) is when all of this was known.
    """

    trigger: Trigger
    probability: Share
    reasons: tuple[Effect, ...]
    words: dict[Locale, tuple[str, ...]]
    """The reasons that a person can make sense of, as sentences, in each language."""
    model: str
    model_version: str
    sentiment: Sentiment | None = None
    assessed_ms: float


class Risk(Struct, frozen=True, kw_only=True, tag="risk", tag_field="kind"):
    """A user was assessed at an event; `at` is the event's time.

    `signals` holds all that the model was given, so that its answer can be had again; null is what is not
    known. `active_hours` are the user's active panes in the 30 days up to `at`, as the sequence shows them:
    where the stream has counted more, the sequence was not whole. `detected_ms` (epoch ms) is the broker's
    append time of the event, or of the notice of the burst that it ends.
    """

    event_id: Name
    tenant: TenantId
    user_id: Name
    at: EpochMs
    active_hours: int
    assessment: Assessment
    signals: dict[str, float | None]
    detected_ms: float

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.user_id}"
