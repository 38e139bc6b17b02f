"""What a tenant's people decide beforehand: when users may be written to, and what is tried on whom.

Rules are data. A version of them holds from an instant of event time on, so that every decision is made under
one version, whichever instance makes it and whenever: a replay finds the same one.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

from msgspec import Meta, Struct

from schemas.events import EpochMs, TenantId
from schemas.vocabulary import HeldBy, Rung, Strategy, Tier

Share = Annotated[float, Meta(ge=0, le=1)]
ClockTime = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM")]
Label = Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]
Days = Annotated[int, Meta(ge=1, le=31)]
_ROUNDING = 1e-9

PASSABLE = (HeldBy.FREQUENCY_CAP, HeldBy.QUIET_HOURS, HeldBy.COOLDOWN)
"""The rules that a tenant may let a tier pass. Consent and suppression are never among them."""


class Cap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `scripts` in `days` calendar days of the user's time zone, today included."""

    scripts: Annotated[int, Meta(ge=0)]
    days: Days = 1


class QuietHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `begin` until just before `end` on the user's clock nobody is written to; it may pass midnight."""

    begin: ClockTime
    end: ClockTime

    def __post_init__(self) -> None:
        if self.begin == self.end:
            raise ValueError(f"begin and end are both {self.begin}: leave quiet_hours out, or set dry_run")


class Treatment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an arm changes for its users; a field that is left out leaves things as they are.

    `hold` sends nothing. `rung` is the only rung that may write; where it cannot, none does and the
    crossing is held by the guard. `strategy` replaces the tier's. `offer` is the id of the offer to make;
    an empty one makes none.
    """

    hold: bool = False
    rung: Rung | None = None
    strategy: Strategy | None = None
    offer: str | None = None


AS_EVER = Treatment()
"""Nothing is changed."""


class Arm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the things that are compared. `weight` is the share of users, or of decisions, that get it."""

    name: Label
    weight: Share
    treatment: Treatment = AS_EVER


class Experiment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arms among which chance decides, always the same way for the same user (or decision).

    Of each layer a user is in one experiment at most: the one whose part of the layer, from `begin` to
    just before `end`, holds the user's place in it. `tiers` are those that a crossing must lead to; none
    named means all. `by_context` has other weights than the arms' own, in their order, for a context
    `tier/plan`, or for a `tier` alone: a bandit writes them there.
    """

    name: Label
    layer: Label = "default"
    begin: Share = 0.0
    end: Share = 1.0
    per_decision: bool = False
    tiers: tuple[Tier, ...] = ()
    arms: Annotated[tuple[Arm, ...], Meta(min_length=1)]
    by_context: dict[str, tuple[Share, ...]] = {}

    def __post_init__(self) -> None:
        if self.begin >= self.end:
            raise ValueError(f"begin is {self.begin}, which is not below the end, {self.end}")
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"two arms have the same name: {', '.join(names)}")
        _check_weights("arms", tuple(arm.weight for arm in self.arms), len(self.arms))
        for context, weights in self.by_context.items():
            _check_weights(f"by_context {context!r}", weights, len(self.arms))

    def weights(self, tier: Tier, plan: str) -> tuple[float, ...]:
        """The arms' shares where a crossing leads to `tier` and the user has `plan`."""
        own = tuple(arm.weight for arm in self.arms)
        return self.by_context.get(f"{tier}/{plan}", self.by_context.get(tier.value, own))


def _check_weights(where: str, weights: tuple[float, ...], count: int) -> None:
    if len(weights) != count:
        raise ValueError(f"{where}: {len(weights)} weights for {count} arms")
    if abs(sum(weights) - 1) > _ROUNDING:
        raise ValueError(f"{where}: the weights' sum is {sum(weights):g}, expected 1")


def _check_layers(experiments: tuple[Experiment, ...]) -> None:
    names = [experiment.name for experiment in experiments]
    if len(set(names)) < len(names):
        raise ValueError(f"two experiments have the same name: {', '.join(names)}")
    ordered = sorted(experiments, key=lambda one: (one.layer, one.begin))
    for one, other in pairwise(ordered):
        if one.layer == other.layer and other.begin < one.end:
            raise ValueError(
                f"experiments {one.name} and {other.name} overlap in layer {one.layer}, "
                f"which the second enters at {other.begin} and the first leaves at {one.end}"
            )


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one tenant, each harmless where it is left out.

    `time_zone` is that of users who state none that is known. `passes` names, by tier, the rules that do not
    hold it back. `cooldown_days` after a rise nobody is written to. `offers_per_day` bounds the crossings of
    all users whose script may carry an offer, on a day of `time_zone`. `suppressed` are users who are not
    written to, whatever else holds. In a `dry_run` everything is decided and worded, and nothing is sent.
    `holdout` is the share of users who are never written to, to compare with.
    """

    time_zone: str = "UTC"
    caps: tuple[Cap, ...] = ()
    quiet_hours: QuietHours | None = None
    passes: dict[Tier, tuple[HeldBy, ...]] = {}
    cooldown_days: Annotated[int, Meta(ge=0, le=366)] = 0
    offers_per_day: Annotated[int, Meta(ge=0)] | None = None
    suppressed: frozenset[str] = frozenset()
    dry_run: bool = False
    holdout: Share = 0.0
    experiments: tuple[Experiment, ...] = ()

    def __post_init__(self) -> None:
        for tier, rules in self.passes.items():
            for rule in rules:
                if rule not in PASSABLE:
                    raise ValueError(
                        f"passes lets {tier} pass {rule}; only {', '.join(PASSABLE)} can be passed"
                    )
        _check_layers(self.experiments)


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of all tenants' rules, which holds from `since` (event time) until the next one does.

    A tenant that is not named has those of `default`.
    """

    version: Label
    since: EpochMs = 0
    default: Policy = Policy()
    tenants: dict[TenantId, Policy] = {}

    def of(self, tenant: str) -> Policy:
        """The rules of `tenant`."""
        return self.tenants.get(tenant, self.default)


class RuleBook:
    """All versions of the rules, by the time from which they hold; before the first there are none.

    >>> book = RuleBook([Rules(version="b", since=20), Rules(version="a", since=10)])
    >>> [book.at(ms).version for ms in (9, 10, 19, 20)]
    ['', 'a', 'a', 'b']
    """

    def __init__(self, versions: Iterable[Rules] = ()) -> None:
        self.versions = tuple(sorted(versions, key=lambda rules: (rules.since, rules.version)))

    def at(self, at_ms: int) -> Rules:
        """The version that holds at `at_ms` (epoch ms, event time)."""
        for rules in reversed(self.versions):
            if rules.since <= at_ms:
                return rules
        return _NONE


_NONE = Rules(version="")
