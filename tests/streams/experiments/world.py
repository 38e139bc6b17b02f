"""A made-up tenant whose users cross now and then, for tests of experiments: the real rules decide."""

from collections.abc import Callable, Iterable
from random import Random

from operators.policy import rule
from schemas.decision import Decision, Standing, Timing, decision_id
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.policy import Experiment, Policy, Rules
from schemas.vocabulary import Cause, HeldBy, Outcome, Tier
from streams.effects import Published
from tests import records

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
Odds = Callable[[Decision, str], float]
"""The chance that a user whom this decision is about, in this arm, converts."""


def rules(*experiments: Experiment, holdout: float = 0.0, version: str = "v1") -> Rules:
    return Rules(version=version, default=Policy(experiments=experiments, holdout=holdout))


def decided(
    rules: Rules,
    user: str,
    at: int,
    *,
    plan: str = "free",
    activity: float = 20.0,
    consent: bool = True,
    lost: HeldBy | None = None,
    tier: Tier = Tier.HIGH,
) -> Published:
    """The decision on a decline of `user`; `lost` is what holds it after its arm was given."""
    crossing = records.crossing(
        id=decision_id("acme", user, Cause.DECLINE, at),
        user_id=user,
        at=at,
        to_tier=tier,
        activity=activity,
        recent=round(activity),
        prior=60,
    )
    ruling = rule(rules, crossing, Standing(at=at, tier=tier, plan=plan, consent=consent))
    held_by = ruling.held_by or lost
    made = Decision(
        id=crossing.id,
        tenant="acme",
        user_id=user,
        cause=crossing.cause,
        at=at,
        from_tier=crossing.from_tier,
        to_tier=crossing.to_tier,
        activity=activity,
        recent=crossing.recent,
        prior=crossing.prior,
        usual=crossing.usual,
        outcome=Outcome.SENT if held_by is None else Outcome.HELD,
        held_by=held_by,
        strategy=crossing.strategy,
        ruling=ruling,
        timing=Timing(detected_ms=at, published_ms=at),
    )
    return Published(made, at)


def told(
    of: Published,
    kind: OutcomeKind,
    after_ms: int = HOUR_MS,
    *,
    value: float = 0.0,
    name: str = "",
    simulated: bool = False,
) -> UserOutcome:
    """An outcome of a decision, so long after it."""
    return UserOutcome(
        outcome_id=f"{of.decision.id}-{kind}-{name}",
        decision_id=of.decision.id,
        tenant=of.decision.tenant,
        user_id=of.decision.user_id,
        kind=kind,
        ts=of.decision.at + after_ms,
        value=value,
        simulated=simulated,
    )


def arm_of(one: Published, experiment: str) -> str:
    ruling = one.decision.ruling
    assert ruling is not None
    return next(found.arm for found in ruling.assigned if found.experiment == experiment)


def conversions(
    published: Iterable[Published], experiment: str, odds: Odds, seed: int = 5, *, simulated: bool = False
) -> list[UserOutcome]:
    """Each decision's user converts with the odds that their arm has."""
    dice = Random(seed)
    return [
        told(one, OutcomeKind.CONVERTED, value=30.0, simulated=simulated)
        for one in published
        if dice.random() < odds(one.decision, arm_of(one, experiment))
    ]
