"""From decisions and what came of them to the next weights of an experiment: learned, judged, or refused.

A row is a decision that chance had a part in: one that the user's own rules allowed, whatever became of it
then (what is compared is what was intended). Of its outcomes those count that came within the window, and
only decisions whose window is over: the others would look as if nobody had answered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from inference.bandit import Gain, Log, Weights, Worth, affordable, between, gain_of_learning, learn
from inference.uplift import Effect, Trial, effect, worths
from schemas.decision import Decision
from schemas.errors import InputError
from schemas.feedback import Feedback
from schemas.outcome import OutcomeKind
from schemas.policy import Arm, Experiment, Policy, RuleBook, Rules
from schemas.vocabulary import STRATEGIES, Cause, HeldBy, Reason, Tier

DAY_MS = 86_400_000
ANSWERS = frozenset({OutcomeKind.CLICKED, OutcomeKind.REPLIED, OutcomeKind.CONVERTED})
COMPLAINTS = frozenset({OutcomeKind.COMPLAINT, OutcomeKind.UNSUBSCRIBED})
LEAST = 400
"""Decisions below which nothing is learned."""
AT_RISK = 0.1
"""Share of the answers that weights which are not proven may lose."""
_LEARNED = "bandit-"
"""How the names of versions begin of which the weights were learned."""


class Order(Struct, frozen=True, kw_only=True):
    """What is to be learned, and how carefully.

    `by_plan` learns for each tier and plan, else for each tier. `at_risk` is the share of the answers that
    what is published may lose against the weights that people set, with a confidence of 95 %: the learned
    weights act in part until they are proven. `simulated` learns of simulated outcomes, and of no others.
    """

    tenant: str
    experiment: str
    by_plan: bool = False
    floor: float = 0.05
    at_risk: float = AT_RISK
    worth: Worth = Worth()
    window_days: float = 7.0
    simulated: bool = False
    seed: int = 7


class Uplift(Struct, frozen=True, kw_only=True):
    """What an arm that makes an offer is worth more than one that makes none, in a context."""

    context: str
    arm: str
    against: str
    effect: Effect


class Proposal(Struct, frozen=True, kw_only=True):
    """The next weights and what speaks for them; `refused` says why they are not to be published.

    `after` lies `part` of the way from people's weights to the `learned`, whose gain over people's is `gain`.
    """

    experiment: str
    arms: tuple[str, ...]
    decisions: int
    answered: int
    before: dict[str, tuple[float, ...]] = {}
    after: dict[str, tuple[float, ...]] = {}
    learned: dict[str, tuple[float, ...]] = {}
    part: float = 0.0
    gain: Gain | None = None
    uplift: tuple[Uplift, ...] = ()
    simulated: bool = False
    refused: str = ""


def propose(
    decisions: Iterable[Decision], feedback: Iterable[Feedback], book: RuleBook, order: Order
) -> Proposal:
    """The next weights of an experiment of the newest rules in `book`, from all that is known of it.

    They are compared with the weights that people set, which were learned from nothing: those that hold may
    have been learned from the very decisions on which they would have to be judged.

    Raises:
        InputError: the tenant has no such experiment, or one that weights cannot be learned for.
    """
    experiment = experiment_of(book.versions[-1].of(order.tenant), order)
    log = logged(decisions, feedback, experiment, order)
    arms = tuple(arm.name for arm in experiment.arms)
    found = Proposal(
        experiment=experiment.name,
        arms=arms,
        decisions=len(log),
        answered=int(log.answered.sum()),
        simulated=order.simulated,
    )
    if thin := _too_thin(log, order):
        return msgspec.structs.replace(found, refused=thin)
    contexts = [str(context) for context in np.unique(log.context)]
    people, since_ms = _set_by_people(book, experiment, order)
    believed = {context: _weights(people, context) for context in contexts}
    costs = _costs(experiment, order)

    def weights(of: Log) -> Weights:
        known = [context for context in contexts if (of.context == context).any()]
        learned = learn(
            of,
            known,
            costs,
            worth=order.worth,
            floor=order.floor,
            believed=believed,
            allowed=_allowed(_uplifts(of, experiment, order), experiment, known),
            seed=order.seed,
        )
        return believed | learned

    judged, learned = gain_of_learning(log, believed, weights, order.worth, since_ms), weights(log)
    part, refused = _part(judged, order.at_risk * float(log.answered.mean()))
    return msgspec.structs.replace(
        found,
        before={context: _weights(experiment, context) for context in contexts},
        after=between(believed, learned, part),
        learned=dict(learned),
        part=part,
        gain=judged,
        uplift=tuple(_uplifts(log, experiment, order)),
        refused=refused,
    )


def _set_by_people(book: RuleBook, experiment: Experiment, order: Order) -> tuple[Experiment, int]:
    """The experiment with the weights that people set last, and since when (epoch ms) there are such weights.

    Who puts learned weights into a file sets them, too: what was decided before they were first there may
    have been what they were learned from.
    """
    of_version = [
        (rules, one)
        for rules in book.versions
        for one in rules.of(order.tenant).experiments
        if one.name == order.experiment and one.arms == experiment.arms
    ]
    ours = [one for rules, one in of_version if not rules.version.startswith(_LEARNED)]
    people = ours[-1] if ours else of_version[0][1]
    return people, min(rules.since for rules, one in of_version if one.by_context == people.by_context)


def _part(judged: Gain | None, at_risk: float) -> tuple[float, str]:
    """How much of the way to the learned weights may be gone, or why none of it."""
    if judged is None or judged.decisions < LEAST:
        many = 0 if judged is None else judged.decisions
        return 0.0, f"{many:,} decisions can be judged on, {LEAST} are needed since people set the weights"
    part = affordable(judged, at_risk)
    lost = f"the gain may be as low as {judged.least:.4f} answers per decision"
    return part, "" if part else f"{lost}, and nothing is put at risk"


def revised(rules: Rules, order: Order, weights: Weights, since_ms: int) -> Rules:
    """The version that follows `rules`: the same, but for the experiment's weights, from `since_ms` on.

    Raises:
        InputError: it would not follow.
    """
    if since_ms <= rules.since:
        raise InputError(
            f"the rules of version {rules.version} hold from {rules.since}: give a later --since"
        )
    policy = rules.of(order.tenant)
    experiments = tuple(
        msgspec.structs.replace(one, by_context=one.by_context | dict(weights))
        if one.name == order.experiment
        else one
        for one in policy.experiments
    )
    changed = msgspec.structs.replace(policy, experiments=experiments)
    return msgspec.structs.replace(
        rules,
        version=f"{_LEARNED}{since_ms}",
        since=since_ms,
        tenants=rules.tenants | {order.tenant: changed},
    )


def experiment_of(policy: Policy, order: Order) -> Experiment:
    """The experiment whose weights are learned.

    Raises:
        InputError: there is none, or it is of a kind that weights cannot be learned for.
    """
    found = next((one for one in policy.experiments if one.name == order.experiment), None)
    if found is None:
        known = ", ".join(one.name for one in policy.experiments) or "none"
        raise InputError(f"tenant {order.tenant} has no experiment {order.experiment}; it has {known}")
    if not found.per_decision:
        raise InputError(
            f"experiment {found.name} gives arms to users: set per_decision, or weights move them"
        )
    if not 0 < order.floor <= 1 / len(found.arms):
        raise InputError(
            f"the floor is {order.floor:g}, expected above 0 and at most 1/{len(found.arms)} (arms)"
        )
    return found


class Judged(NamedTuple):
    """A decision, what came of it, and whether its window is over, so that who did not answer counts, too."""

    decision: Decision
    came: tuple[Feedback, ...]
    is_over: bool


def judged(
    decisions: Iterable[Decision], feedback: Iterable[Feedback], tenant: str, window_ms: int, simulated: bool
) -> list[Judged]:
    """A tenant's decisions with their outcomes, simulated or real ones, copies counted once.

    What has only outcomes of the other sort is left out. Windows are over as of the latest record.
    """
    of_decision: dict[str, list[Feedback]] = {}
    for one in {each.key: each for each in feedback if each.outcome.tenant == tenant}.values():
        of_decision.setdefault(one.outcome.decision_id, []).append(one)
    known = {one.id: one for one in decisions if one.tenant == tenant}.values()
    latest = max(
        [
            *(decided_at(one) for one in known),
            *(one.outcome.ts for many in of_decision.values() for one in many),
        ],
        default=0,
    )
    found = []
    for decision in known:
        came = of_decision.get(decision.id, [])
        ours = tuple(one for one in came if one.outcome.simulated is simulated)
        if ours or not came:
            found.append(Judged(decision, ours, decided_at(decision) + window_ms <= latest))
    return found


def logged(
    decisions: Iterable[Decision], feedback: Iterable[Feedback], experiment: Experiment, order: Order
) -> Log:
    """The rows of the experiment's log, in the order of time."""
    arms = {arm.name: at for at, arm in enumerate(experiment.arms)}
    costs = _costs(experiment, order)
    window_ms = int(order.window_days * DAY_MS)
    kept = []
    for one in judged(decisions, feedback, order.tenant, window_ms, order.simulated):
        drawn = _drawn(one.decision, experiment.name)
        if one.is_over and drawn is not None and drawn[0] in arms:
            kinds = {each.outcome.kind for each in one.came if each.after_ms <= window_ms}
            kept.append((one.decision, arms[drawn[0]], drawn[1], kinds))
    kept.sort(key=lambda row: (decided_at(row[0]), row[0].id))
    return Log(
        at=np.array([decided_at(row[0]) for row in kept], dtype=np.int64),
        unit=np.array([f"{row[0].tenant}/{row[0].user_id}" for row in kept], dtype=np.str_),
        context=np.array([_context(row[0], order) for row in kept], dtype=np.str_),
        stratum=np.array([_stratum(row[0]) for row in kept], dtype=np.str_),
        arm=np.array([row[1] for row in kept], dtype=np.int64),
        propensity=np.array([row[2] for row in kept], dtype=np.float64),
        answered=np.array([not ANSWERS.isdisjoint(row[3]) for row in kept], dtype=bool),
        complained=np.array([not COMPLAINTS.isdisjoint(row[3]) for row in kept], dtype=bool),
        left=np.array([OutcomeKind.CHURNED in row[3] for row in kept], dtype=bool),
        cost=np.array([costs[row[1]] for row in kept], dtype=np.float64),
        known=np.array([_known(row[0]) for row in kept], dtype=np.float64).reshape(
            len(kept), -1 if kept else 0
        ),
    )


def decided_at(decision: Decision) -> int:
    """When (epoch ms, event time) it was decided."""
    return decision.at if decision.ruling is None else decision.ruling.standing.at


def makes_offer(arm: Arm, arms: Sequence[Arm]) -> bool:
    """Whether an arm makes an offer: it names one, or leaves things as they are where another makes none.

    >>> from schemas.policy import Treatment
    >>> arms = [Arm(name=str(n), weight=0, treatment=Treatment(offer=offer))
    ...     for n, offer in enumerate(("gift", "", None))]
    >>> [makes_offer(arm, arms) for arm in arms]
    [True, False, True]
    """
    if arm.treatment.hold or arm.treatment.offer == "":
        return False
    return arm.treatment.offer is not None or any(one.treatment.offer == "" for one in arms)


def _drawn(decision: Decision, experiment: str) -> tuple[str, float] | None:
    """The arm that chance gave it, and how likely; None where the rules held it before chance was asked."""
    ruling = decision.ruling
    if ruling is None or ruling.held_by not in (None, HeldBy.EXPERIMENT):
        return None
    for one in ruling.assigned:
        if one.experiment == experiment and one.propensity > 0:
            return one.arm, one.propensity
    return None


def _too_thin(log: Log, order: Order) -> str:
    sort = "simulated" if order.simulated else "real"
    if len(log) < LEAST:
        return f"{len(log):,} decisions have their {order.window_days:g} days behind them, {LEAST} are needed"
    if not (log.answered.any() or log.complained.any() or log.left.any()):
        return f"no {sort} outcome has been reported"
    if len(np.unique(log.arm)) < 2:
        return "all decisions had the same arm: there is nothing to compare"
    return ""


def _stratum(decision: Decision) -> str:
    """What an arm's weight depended on besides the tier."""
    ruling = decision.ruling
    return "" if ruling is None else f"{ruling.version}/{ruling.standing.plan}"


def _context(decision: Decision, order: Order) -> str:
    plan = "free" if decision.ruling is None else decision.ruling.standing.plan
    return f"{decision.to_tier}/{plan}" if order.by_plan else str(decision.to_tier)


def _weights(experiment: Experiment, context: str) -> tuple[float, ...]:
    tier, _, plan = context.partition("/")
    return experiment.weights(Tier(tier), plan)


def _costs(experiment: Experiment, order: Order) -> list[float]:
    return [order.worth.offer * makes_offer(arm, experiment.arms) for arm in experiment.arms]


def _known(decision: Decision) -> list[float]:
    """What is known of a user at the decision, for the models of the uplift."""
    one_of = [float(decision.reason is reason) for reason in Reason]
    plan = "free" if decision.ruling is None else decision.ruling.standing.plan
    return [
        float(decision.to_tier.rank),
        float(decision.from_tier.rank),
        float(STRATEGIES.index(decision.to_tier.strategy)),
        float(decision.cause is Cause.RISK),
        decision.activity,
        float(decision.recent),
        float(decision.prior),
        decision.usual,
        0.0 if decision.risk is None else decision.risk.probability,
        float(plan != "free"),
        *one_of,
    ]


def _uplifts(log: Log, experiment: Experiment, order: Order) -> list[Uplift]:
    """Each arm with an offer against each without, by context."""
    offers = [at for at, arm in enumerate(experiment.arms) if makes_offer(arm, experiment.arms)]
    others = [at for at in range(len(experiment.arms)) if at not in offers]
    trial = Trial(
        unit=log.unit,
        known=log.known,
        arm=log.arm,
        propensity=log.propensity,
        value=log.value(order.worth),
    )
    worth = {arm: worths(trial, arm) for arm in (*offers, *others)} if offers and others else {}
    found = []
    for treatment in offers:
        for control in others:
            scores = worth[treatment] - worth[control]
            for context in np.unique(log.context):
                here = log.context == context
                found.append(
                    Uplift(
                        context=str(context),
                        arm=experiment.arms[treatment].name,
                        against=experiment.arms[control].name,
                        effect=effect(trial.where(here), treatment, control, scores[here]),
                    )
                )
    return found


def _allowed(
    uplifts: Sequence[Uplift], experiment: Experiment, contexts: Iterable[str]
) -> Mapping[str, tuple[bool, ...]]:
    """An offer is made beyond the floor only where it is worth more than none, for certain."""
    doubted = {(one.context, one.arm) for one in uplifts if not one.effect.is_certain}
    return {
        context: tuple((context, arm.name) not in doubted for arm in experiment.arms) for context in contexts
    }
