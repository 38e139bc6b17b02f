"""Crossings, the scripts written ahead of them, and the decision record that each of them becomes."""

from hashlib import blake2b
from typing import Annotated

from msgspec import Meta, Struct, field

from schemas.events import Account, EpochMs, Name, TenantId
from schemas.policy import AS_EVER, Label, Share, Treatment
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


class Assignment(Struct, frozen=True, kw_only=True):
    """The arm that chance gave a user in an experiment, and how likely it was to."""

    experiment: str
    arm: str
    propensity: Share


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rules depend on besides the crossing: the user as of `at` (epoch ms, event time).

    `tier` is the user's at `at`, null where there is none any more. `sent` are the times (epoch ms) of the
    user's scripts in the 32 days before, those included that only a holdout, an arm or a dry run kept from
    being sent; `rose_at` is the time of the last rise. `in_replay` holds for a crossing of the past that no
    script was asked for. `cared_for` tells that the tenant writes to who rises to `very_low`.
    """

    at: EpochMs
    tier: Tier | None
    consent: bool = True
    plan: str = "free"
    time_zone: str | None = None
    sent: tuple[EpochMs, ...] = ()
    rose_at: EpochMs | None = None
    in_replay: bool = False
    cared_for: bool = False


_COUNTED = (None, HeldBy.DRY_RUN, HeldBy.HOLDOUT, HeldBy.EXPERIMENT, HeldBy.OFFER_BUDGET)


class Ruling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the rules were applied: their version, and all that they were applied to, so that it can be done
    again.

    `allowed_at` (epoch ms, event time) is when a held crossing would have been allowed; null where it never
    would. `passed` are rules that would have held it, and that the tenant lets its tier pass. `treatment` is
    what the arms in `assigned` change.
    """

    version: str
    standing: Standing
    held_by: HeldBy | None = None
    allowed_at: EpochMs | None = None
    passed: tuple[HeldBy, ...] = ()
    assigned: tuple[Assignment, ...] = ()
    treatment: Treatment = AS_EVER
    offers_before: int | None = None
    """Where the tenant's offers of the day are bounded and the script may carry one: how many there were
    before.
    """

    @property
    def is_put_off(self) -> bool:
        """Whether it is decided again, at `allowed_at`."""
        return self.held_by is HeldBy.QUIET_HOURS

    @property
    def is_worded(self) -> bool:
        """Whether a script is to be written, sent or not."""
        return self.held_by in (None, HeldBy.DRY_RUN)

    @property
    def is_counted(self) -> bool:
        """Whether caps count it: the user's own rules allowed it.

        Who is held out, or gets an arm without a script, would meet other caps than the others otherwise.
        """
        return self.held_by in _COUNTED


class Crossing(Struct, frozen=True, kw_only=True):
    """A threshold was crossed. On the topic `crossings` when a script must still be composed.

    `at` is the boundary of the pane (decline, rise) or the time of the event (risk); `recent`,
    `prior` and `usual` are what `activity` was computed from, and `tenure` (panes since the first active one,
    that one included; 0 where it was not recorded) what `usual` was. At a risk crossing the tier stays as it
    is, and `risk` tells why. `detected_ms` is the processing time (epoch ms, fractions kept) at which the
    operator's watermark passed `at`, stamped by the engine; at a risk crossing it is that of the assessment.
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
    tenure: int = 0
    account: Account | None = None
    no_draft: str = ""
    """Why no script that was written ahead could be used."""
    detected_ms: float = 0.0
    risk: Assessment | None = None
    ruling: Ruling | None = None
    """How the rules were applied; none where the operator has not asked them yet."""

    @property
    def decided_at(self) -> int:
        """When (epoch ms, event time) it is decided: at once, or when what put it off ends."""
        return self.at if self.ruling is None else self.ruling.standing.at

    @property
    def strategy(self) -> Strategy:
        """What a script tries to do: as the tier wants it, or an experiment."""
        stated = None if self.ruling is None else self.ruling.treatment.strategy
        return self.to_tier.strategy if stated is None else stated

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.user_id}"


AGAIN = "/again"
"""What the id of a decision that was put off ends with, once for each time."""


class Shown(Struct, frozen=True, kw_only=True):
    """Which examples a prompt had: their places in that version of the tenant's examples."""

    version: Label
    places: tuple[int, ...]


class Told(Struct, frozen=True, kw_only=True):
    """What the author of a script was told of its user, so that the script can be judged again.

    `facts` are the only values that it may state, but for the user's name: `named` tells that the account's
    was among them, and it is not kept a second time. `sentences` are what else numbers may come from, `brief`
    what the tenant wants of it. Where a model wrote it, `prompt` is the digest of all that it was asked, and
    `seed` where its chance began: asked the same with the same seed, the same version writes the same.
    `examples` are the scripts that it was shown.
    """

    facts: dict[str, str]
    named: bool = False
    sentences: tuple[str, ...] = ()
    brief: str = ""
    prompt: str = ""
    seed: int | None = None
    examples: Shown | None = None


class Script(Struct, frozen=True, kw_only=True):
    """A script as the user gets it, and where it came from. `age_ms` counts from its writing.

    `template` is the same text with its slots not filled in: what users alike were sent as well.
    """

    text: str
    template: str = ""
    locale: Locale
    rung: Rung
    model: str
    model_version: str
    age_ms: float
    told: Told | None = None


class DraftRequest(Struct, frozen=True, kw_only=True):
    """A script is wanted ahead: `crossing` is what will happen if no event of the user comes before.

    `asked_at` is the event time at which it was asked for. A later request for the same user, or any
    event of theirs, makes the answer to this one stale.
    """

    crossing: Crossing
    asked_at: EpochMs


class Draft(Struct, frozen=True, kw_only=True, tag="draft", tag_field="kind"):
    """A script that waits in the user's state for the crossing it was written for.

    `id` and `at` are the crossing's, `asked_at` is the request's, `treatment` is what it was written under.
    The text is whole: slots are filled and the guard has passed it; `template` is what it was before.
    `written_ms` (epoch ms) is when the model had written it. Where it could not write for this crossing in
    time, its script for the user's segment stands in: `rung` says so, and `fallbacks` why.
    """

    id: str
    tenant: TenantId
    user_id: Name
    at: EpochMs
    asked_at: EpochMs
    reason: Reason
    treatment: Treatment = AS_EVER
    text: str
    template: str = ""
    locale: Locale
    model: str
    model_version: str
    written_ms: float
    told: Told | None = None
    rung: Rung = Rung.DRAFT
    fallbacks: dict[Rung, str] = {}

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
    recent: int = 0
    prior: int = 0
    usual: float = 0.0
    tenure: int = 0
    outcome: Outcome
    held_by: HeldBy | None = None
    strategy: Strategy
    reason: Reason | None = None
    script: Script | None = None
    fallbacks: dict[Rung, str] = field(default_factory=dict)
    """Why each rung above the one that was taken gave no script."""
    risk: Assessment | None = None
    """What a risk crossing came from."""
    ruling: Ruling | None = None
    """The rules, what they were applied to, and how: enough to apply them again."""
    timing: Timing
