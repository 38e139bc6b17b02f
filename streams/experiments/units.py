"""The units of each experiment, from decisions and outcomes: who was exposed to which arm, and what came of
it.

Exposed is whom a script was sent to, and, of those who get none by design (the holdout, an arm that holds),
whom it would have been sent to at that moment: the rules are asked in an order that makes the two alike. A
unit is a user from the first exposure on, or each decision where chance decides anew at each. What an outcome
tells counts within a window that is equally long for each unit, and a unit counts once its window is over:
else the newest units, of which nothing can be known yet, would pull each look at the figures down.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.decision import Decision
from schemas.errors import InputError
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.policy import Arm, Experiment, Policy, RuleBook
from schemas.vocabulary import TIERS, HeldBy, Outcome, Tier
from streams.effects import Published, distinct

Floats = NDArray[np.float64]

HOLDOUT = "@holdout"
"""The experiment that the holdout is, of the whole service; no other can have this name."""
HELD_OUT = "holdout"
"""The name of the users who are held out, as an arm to compare with."""
_OTHERS = "written_to"
_THE_HOLDOUT = Experiment(
    name=HELD_OUT, layer=HELD_OUT, arms=(Arm(name=HELD_OUT, weight=0.5), Arm(name=_OTHERS, weight=0.5))
)
"""The holdout's arms, the control first; what weights they had stands with each chance."""
_BY_DESIGN = (HeldBy.HOLDOUT, HeldBy.EXPERIMENT)
_LOST = (HeldBy.GUARD, HeldBy.OFFER_BUDGET)
COVARIATES = ("activity", "recent", "prior")


class Chance(NamedTuple):
    """What chance decided at a decision: the arm, and the share that each arm had; whether it was exposed."""

    decision_id: str
    key: str
    at: int
    arm: str
    shares: Mapping[str, float]
    holdout: float
    held_out: bool
    exposed: bool
    sent: bool
    lost: bool
    """It was to be sent, and came to nothing after the arm was given."""
    tier: Tier
    covariates: tuple[float, float, float]


class Told(NamedTuple):
    """An outcome, and when (epoch ms) its decision was made."""

    decision_id: str
    decided_at: int
    ts: int
    kind: OutcomeKind
    value: float


class Trial(Struct, frozen=True, kw_only=True):
    """An experiment of a tenant and all that is known of it, in the order of time."""

    tenant: str
    name: str
    arms: tuple[str, ...]
    per_decision: bool
    chances: list[Chance]
    layer: str = ""
    part: float = 1.0
    """Of its layer, the share of the users who are in it."""
    tiers: tuple[Tier, ...] = TIERS

    @property
    def unit(self) -> str:
        """What chance decides on."""
        return "decision" if self.per_decision else "user"


class Units(Struct, frozen=True, kw_only=True):
    """The units of a trial in the order of their exposure, an entry each: `at` is its time (epoch ms), `arm`
    the place of its arm, `shares` those of all arms (shape [units, arms]), `user` a number for whose unit it
    is.
    """

    at: NDArray[np.int64]
    arm: NDArray[np.int64]
    shares: Floats
    user: NDArray[np.int64]
    sent: NDArray[np.bool_]
    covariates: Floats
    told: list[list[Told]]


class Log:
    """Decisions and outcomes, each once: real outcomes, or with `simulated` those that a simulation made.

    `unruled` counts decisions under a version of the rules that `book` lacks, `unmatched` outcomes that name
    no decision of their user.
    """

    def __init__(
        self,
        book: RuleBook,
        published: Iterable[Published],
        outcomes: Iterable[UserOutcome],
        simulated: bool = False,
    ) -> None:
        self._policies = {rules.version: rules for rules in book.versions}
        self._chances: defaultdict[tuple[str, str], list[Chance]] = defaultdict(list)
        self.unruled = self.unmatched = self.latest = 0
        decided: dict[str, tuple[str, int]] = {}
        for one in published:
            decision = one.decision
            if decision.id not in decided and decision.ruling is not None:
                at = decision.ruling.standing.at
                decided[decision.id] = f"{decision.tenant}/{decision.user_id}", at
                self.latest = max(self.latest, at)
                self._note(decision)
        self.told: defaultdict[str, list[Told]] = defaultdict(list)
        for outcome in distinct(outcomes, simulated):
            key, at = decided.get(outcome.decision_id, ("", 0))
            if key != outcome.key:
                self.unmatched += 1
                continue
            self.told[key].append(Told(outcome.decision_id, at, outcome.ts, outcome.kind, outcome.value))
            self.latest = max(self.latest, outcome.ts)

    def _note(self, decision: Decision) -> None:
        ruling = decision.ruling
        if ruling is None or not ruling.version:
            return
        rules = self._policies.get(ruling.version)
        if rules is None:
            self.unruled += 1
            return
        for name, chance in _chances(decision, rules.of(decision.tenant)):
            self._chances[decision.tenant, name].append(chance)

    def trials(self) -> Iterator[Trial]:
        """All experiments that a decision has been in, by tenant and name."""
        for (tenant, name), chances in sorted(self._chances.items()):
            design = _THE_HOLDOUT if name == HOLDOUT else self._newest(tenant, name)
            arms = tuple(arm.name for arm in design.arms)
            others = {chance.arm for chance in chances}.difference(arms)
            yield Trial(
                tenant=tenant,
                name=name,
                arms=(*arms, *sorted(others)),
                per_decision=design.per_decision,
                chances=sorted(chances, key=lambda one: (one.at, one.decision_id)),
                layer=design.layer,
                part=design.end - design.begin,
                tiers=design.tiers or TIERS,
            )

    def _newest(self, tenant: str, name: str) -> Experiment:
        """The experiment as the newest version of the rules has it."""
        return max(
            (
                (rules.since, rules.version, experiment)
                for rules in self._policies.values()
                for experiment in rules.of(tenant).experiments
                if experiment.name == name
            ),
            key=lambda found: found[:2],
        )[2]


def _chances(decision: Decision, policy: Policy) -> Iterator[tuple[str, Chance]]:
    ruling = decision.ruling
    assert ruling is not None  # the caller has asked
    held_out, sent = decision.held_by is HeldBy.HOLDOUT, decision.outcome is Outcome.SENT
    exposed = sent or (decision.held_by in _BY_DESIGN and not policy.dry_run)

    def chance(arm: str, shares: Mapping[str, float]) -> Chance:
        return Chance(
            decision.id,
            f"{decision.tenant}/{decision.user_id}",
            ruling.standing.at,
            arm,
            shares,
            policy.holdout,
            held_out,
            exposed,
            sent,
            decision.held_by in _LOST,
            decision.to_tier,
            (decision.activity, decision.recent, decision.prior),
        )

    if policy.holdout and exposed:
        arm = HELD_OUT if held_out else _OTHERS
        shares = {HELD_OUT: policy.holdout, _OTHERS: 1 - policy.holdout}
        yield HOLDOUT, chance(arm, shares)._replace(held_out=False)
    named = {experiment.name: experiment for experiment in policy.experiments}
    for one in ruling.assigned:
        if (experiment := named.get(one.experiment)) is not None:
            weights = experiment.weights(decision.to_tier, ruling.standing.plan)
            names = (arm.name for arm in experiment.arms)
            yield one.experiment, chance(one.arm, dict(zip(names, weights, strict=True)))


def against_holdout(trial: Trial) -> Trial:
    """The same trial with the users who are held out as its control, if there are any."""
    return Trial(
        tenant=trial.tenant,
        name=trial.name,
        arms=(HELD_OUT, *trial.arms),
        per_decision=trial.per_decision,
        chances=[
            one._replace(
                arm=HELD_OUT if one.held_out else one.arm,
                shares={HELD_OUT: one.holdout}
                | {arm: w * (1 - one.holdout) for arm, w in one.shares.items()},
                held_out=False,
            )
            for one in trial.chances
        ],
    )


def whole(trial: Trial, other: Trial) -> Trial:
    """`trial` as a whole beside `other` as a whole, or beside the users held out where that is the holdout.

    Its units are users. Chance puts each into one part of the layer and decides who is held out; so those in
    `trial`, whatever its arms gave them, differ from those in `other` by nothing else. What was before both
    of them had begun is left out.

    Raises:
        InputError: a user may be in both, or one of them is not tried at all tiers of the other.
    """
    is_holdout = other.name == HOLDOUT
    if not is_holdout and (trial.layer != other.layer or trial.name == other.name):
        raise InputError(f"{trial.name} and {other.name} do not share a layer: users may be in both")
    if not is_holdout and trial.tiers != other.tiers:
        raise InputError(f"{trial.name} and {other.name} are not tried at the same tiers")
    control = HELD_OUT if is_holdout else other.name
    begun = max((one.chances[0].at for one in (trial, other) if one.chances), default=0)

    def shares(holdout: float) -> dict[str, float]:
        own = (1 - holdout) * trial.part
        others = holdout if is_holdout else (1 - holdout) * other.part
        return {control: others / (own + others), trial.name: own / (own + others)}

    chances = [one._replace(arm=trial.name) for one in trial.chances if not one.held_out]
    chances += [
        one._replace(arm=control)
        for one in other.chances
        if (one.arm == HELD_OUT if is_holdout else not one.held_out) and one.tier in trial.tiers
    ]
    placed_in = [
        one._replace(shares=shares(one.holdout), held_out=False)
        for one in chances
        if one.at >= begun and (one.exposed or one.lost)
    ]
    return Trial(
        tenant=trial.tenant,
        name=trial.name,
        arms=(control, trial.name),
        per_decision=False,
        chances=sorted(placed_in, key=lambda one: (one.at, one.decision_id)),
    )


def firsts(trial: Trial, exposed: bool) -> list[Chance]:
    """The chance of each unit that is not held out, its first; of exposed ones, or of all."""
    first: dict[str, Chance] = {}
    for one in trial.chances:
        if not one.held_out and (one.exposed or not exposed):
            first.setdefault(one.decision_id if trial.per_decision else one.key, one)
    return list(first.values())


def lost(trial: Trial) -> list[Chance]:
    """The chance of each unit that was to be sent something once, and was not: its first of those."""
    gone = [one for one in trial.chances if one.lost]
    return firsts(msgspec.structs.replace(trial, chances=gone), exposed=False)


def placed(trial: Trial, chances: list[Chance]) -> tuple[NDArray[np.int64], Floats]:
    """The place of each chance's arm, and the shares of all arms at it (shape [chances, arms])."""
    place = {arm: at for at, arm in enumerate(trial.arms)}
    arm = np.array([place[one.arm] for one in chances], dtype=np.int64)
    shares = np.array([[one.shares.get(name, 0.0) for name in trial.arms] for one in chances])
    return arm, shares.reshape(len(chances), len(trial.arms))


def units(trial: Trial, told: Mapping[str, list[Told]], window_ms: int) -> Units:
    """The exposed units of `trial`, each with what was told of it within `window_ms` of its exposure.

    Of a user all decisions from the first exposure on count, whichever experiment they were in.
    """
    chances = firsts(trial, exposed=True)
    arm, shares = placed(trial, chances)
    users: dict[str, int] = {}
    return Units(
        at=np.array([one.at for one in chances], dtype=np.int64),
        arm=arm,
        shares=shares,
        user=np.array([users.setdefault(one.key, len(users)) for one in chances], dtype=np.int64),
        sent=np.array([one.sent for one in chances], dtype=np.bool_),
        covariates=np.array([one.covariates for one in chances], dtype=np.float64).reshape(
            -1, len(COVARIATES)
        ),
        told=[
            [
                outcome
                for outcome in told.get(one.key, ())
                if outcome.ts < one.at + window_ms
                and (
                    outcome.decision_id == one.decision_id
                    if trial.per_decision
                    else outcome.decided_at >= one.at
                )
            ]
            for one in chances
        ],
    )


def switched(trial: Trial) -> int:
    """Users who met another arm after their first: by other rules, or in another context."""
    if trial.per_decision:
        return 0
    first: dict[str, str] = {}
    return len(
        {
            one.key
            for one in trial.chances
            if one.exposed and not one.held_out and first.setdefault(one.key, one.arm) != one.arm
        }
    )
