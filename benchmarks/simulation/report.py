"""What a simulation says: each arm's figures and their difference against no action, with intervals.

Three answers stand beside each other. *Groups*: an arm's users against those without messages, adjusted for
what was known of them before. *Records*: what `holdfast experiments report` reads from decisions and outcomes
alone. *Truth*, which only a simulation knows: users against their doubles, who live through the same days
without messages.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.simulation.arms import CHOICE_NAMES, CHOICES, LEARNS, NONE, own_choice
from benchmarks.simulation.customers import Flags, Floats
from benchmarks.simulation.loop import BEGIN_MS, WARM_UP_DAYS, Loop, written_share
from benchmarks.simulation.parameters import OFFER_FIT, OFFERS, STRATEGY_FIT, TENANT
from benchmarks.simulation.rhythm import DAY_MS
from inference.intervals import mean_ci
from schemas.decision import Decision
from schemas.outcome import OutcomeKind
from schemas.policy import RuleBook
from schemas.vocabulary import STRATEGIES, TIERS, Outcome
from streams.effects import Published
from streams.experiments.metrics import STAYED
from streams.experiments.report import Plan as Asked
from streams.experiments.report import report as report_on
from streams.experiments.units import HOLDOUT, Log, firsts, whole

_ANSWERS = {OutcomeKind.CLICKED, OutcomeKind.REPLIED}
FIGURES = ("left", "active_hours", "revenue", "complaints", "messages")
WATCHED_DAYS = 45
"""How long after a user's first exposure the records are asked whether they left."""
_WEEK_MS = 7 * DAY_MS
_CERTAIN = 1.96


class Figure(Struct, frozen=True, kw_only=True):
    """A figure, and its interval of 95 %."""

    value: float
    ci: tuple[float, float]


class ArmReport(Struct, frozen=True, kw_only=True):
    """One arm: figures per user, the groups' difference against no action and against the templates, and in
    `truth` what its messages did to who left.

    Users are those who had not left when the days began. `revenue` is conversions less the costs of offers,
    in the tenant's currency.
    """

    arm: str
    users: int
    figures: dict[str, Figure]
    against_none: dict[str, Figure]
    against_template: dict[str, Figure]
    truth: Figure


class Recovery(Struct, frozen=True, kw_only=True):
    """An arm's effect on staying as the records alone give it, with an interval that may be looked at daily.

    `truth` is what the messages did to just these `users` within the same `WATCHED_DAYS`.
    """

    arm: str
    users: int
    is_readable: bool
    estimate: Figure | None
    truth: float
    covered: bool
    verdict: str


class Weekly(Struct, frozen=True, kw_only=True):
    """A week of an arm: messages, the share of them that was answered, and how well they fitted (0 to 1)."""

    arm: str
    week: int
    sent: int
    answered: float
    fit: float


class Learned(Struct, frozen=True, kw_only=True):
    """What the product proposed at the end of a week, and what it expected of it, in answers per decision.

    `part` is how much of the way to the learned weights was gone.
    """

    week: int
    decisions: int
    gain: Figure | None
    part: float
    refused: str


class Report(Struct, frozen=True, kw_only=True):
    """A simulation: all of its figures are simulated."""

    simulated: bool = True
    parameters: dict[str, Any]
    engine: str
    seconds: float
    events: int
    decisions: int
    sent: int
    written_share: float
    held_by: dict[str, int]
    differing: int
    arms: list[ArmReport]
    recovery: list[Recovery]
    weekly: list[Weekly]
    learned: list[Learned]
    favourites: dict[str, list[tuple[str, float]]]
    """By tier, the choices that have the most weight at the end."""
    here: list[list[float]]
    attainable: dict[str, float] = {}
    """How well messages would fit on average, tastes and texts aside: the tier's own choice, chance, and the
    best choice for all who have the same tier, the same tier and reason, and the same need.
    """


def report(loop: Loop, engine: str, seconds: float, differing: int) -> Report:
    """The figures of a loop that has run."""
    ledger, plan = loop.ledger, loop.plan
    sent = [one for one in ledger.decisions if one.outcome is Outcome.SENT]
    return Report(
        parameters=msgspec.to_builtins(plan),
        engine=engine,
        seconds=round(seconds, 1),
        events=ledger.events,
        decisions=len(ledger.decisions),
        sent=len(sent),
        written_share=written_share(ledger.decisions),
        held_by=dict(Counter(one.held_by.value for one in ledger.decisions if one.held_by is not None)),
        differing=differing,
        arms=[_arm(loop, arm) for arm in plan.arms],
        recovery=list(_recovered(loop)),
        weekly=_weekly(loop, sent),
        learned=[
            Learned(
                week=week + 1,
                decisions=one.decisions,
                gain=None if one.gain is None else Figure(value=one.gain.dr, ci=one.gain.ci),
                part=one.part,
                refused=one.refused,
            )
            for week, one in enumerate(ledger.proposals)
        ],
        favourites=_favourites(loop),
        here=ledger.here,
        attainable=_attainable(loop, sent),
    )


def _arm(loop: Loop, arm: str) -> ArmReport:
    """The figures of `arm`'s users who had not left when the days began."""
    ledger, begun = loop.ledger, here_at_first(loop)
    values = {
        "left": ledger.churned.astype(np.float64),
        "active_hours": ledger.active_hours,
        "revenue": ledger.revenue - ledger.cost,
        "complaints": ledger.complaints,
        "messages": ledger.messages,
    }
    known = _known(loop)
    mine = begun & of_arm(loop, arm)

    def against(control: str) -> dict[str, Figure]:
        others = begun & of_arm(loop, control)
        if arm in (NONE, control) or not others.any():
            return {}
        both = mine | others
        return {name: difference(values[name][both], mine[both], known[both]) for name in FIGURES}

    return ArmReport(
        arm=arm,
        users=int(mine.sum()),
        figures={name: mean(values[name][mine]) for name in FIGURES},
        against_none=against(NONE),
        against_template=against("template"),
        truth=mean((ledger.churned.astype(np.float64) - ledger.left_alone)[mine]),
    )


def here_at_first(loop: Loop) -> Flags:
    """Who had not left when the warm-up was over: before that nobody was written to."""
    return loop.left_on > BEGIN_MS + WARM_UP_DAYS * DAY_MS


def of_arm(loop: Loop, arm: str) -> Flags:
    """Whose arm it is."""
    return np.array([one == arm for one in loop.ledger.arm])


def _known(loop: Loop) -> Floats:
    """What was known of each customer before the first message: active hours in the warm-up, and the plan."""
    plans = loop.customers.plan[:, None] == np.arange(1, 3)
    return np.column_stack([np.log1p(loop.hours_before), loop.hours_before, plans])


def mean(values: Floats) -> Figure:
    """The mean of users' values."""
    return Figure(value=float(values.mean()), ci=mean_ci(values, np.arange(len(values))))


def difference(values: Floats, is_treated: Flags, known: Floats) -> Figure:
    """The difference of two groups' means, adjusted for what was `known` before.

    A regression with the known things centred and crossed with the group, and errors that hold whatever the
    spread (Lin, Annals of Applied Statistics 7(1), 2013): unbiased, and no wider than the plain difference.
    """
    centred = (known - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-9)
    treated = is_treated.astype(np.float64)
    columns = np.column_stack([treated, np.ones(len(values)), centred, centred * treated[:, None]])
    inverse = np.linalg.pinv(columns.T @ columns)
    fitted = inverse @ columns.T @ values
    missed = (values - columns @ fitted)[:, None] * columns @ inverse
    error = float(np.sqrt((missed[:, 0] ** 2).sum()))
    value = float(fitted[0])
    return Figure(value=value, ci=(value - _CERTAIN * error, value + _CERTAIN * error))


def _recovered(loop: Loop) -> Iterator[Recovery]:
    """What `holdfast experiments report --against holdout` says of each arm, from the records alone."""
    published = (Published(one, one.at) for one in loop.ledger.decisions)
    log = Log(RuleBook(loop.versions), published, loop.ledger.outcomes, simulated=True)
    trials = {one.name: one for one in log.trials()}
    window_ms = WATCHED_DAYS * DAY_MS
    number = {f"{TENANT}/{name}": at for at, name in enumerate(loop.customers.ids)}
    for name, trial in trials.items():
        if name == HOLDOUT or HOLDOUT not in trials:
            continue
        compared = whole(trial, trials[HOLDOUT])
        found = report_on(compared, log, Asked(goal=STAYED.name, window_days=WATCHED_DAYS), simulated=True)
        arm = found.arms[1]
        stayed = next((one.found for one in arm.comparisons if one.metric == STAYED.name), None)
        units = [one for one in firsts(compared, exposed=True) if one.arm == name]
        who = np.array(
            [number[one.key] for one in units if one.at + window_ms <= found.as_of], dtype=np.int64
        )
        until = np.array([one.at + window_ms for one in units if one.at + window_ms <= found.as_of])
        kept = (
            (loop.double_left_on[who] < until).mean() - (loop.left_on[who] < until).mean() if len(who) else 0
        )
        yield Recovery(
            arm=name,
            users=arm.counted,
            is_readable=found.is_readable,
            estimate=None
            if stayed is None
            else Figure(value=stayed.difference, ci=(stayed.low, stayed.high)),
            truth=float(kept),
            covered=stayed is not None and bool(stayed.low <= kept <= stayed.high),
            verdict=arm.verdict,
        )


def _weekly(loop: Loop, sent: list[Decision]) -> list[Weekly]:
    answered = {one.decision_id for one in loop.ledger.outcomes if one.kind in _ANSWERS}
    arm = dict(zip(loop.customers.ids, loop.ledger.arm, strict=True))
    found: defaultdict[tuple[str, int], list[tuple[bool, float]]] = defaultdict(list)
    for one in sent:
        week = arm[one.user_id], (one.at - loop.live_ms) // _WEEK_MS
        found[week].append((one.id in answered, loop.ledger.fits[one.id][0]))
    return [
        Weekly(
            arm=name,
            week=week,
            sent=len(many),
            answered=float(np.mean([one[0] for one in many])),
            fit=float(np.mean([one[1] for one in many])),
        )
        for (name, week), many in sorted(found.items())
    ]


def _attainable(loop: Loop, sent: list[Decision]) -> dict[str, float]:
    fits = np.array(
        [
            [
                (row[STRATEGIES.index(strategy)] + offers[OFFERS.index(offer)]) / 2
                for strategy, offer in CHOICES
            ]
            for row, offers in zip(STRATEGY_FIT, OFFER_FIT, strict=True)
        ]
    )
    if not sent:
        return {}
    of_each = fits[[loop.ledger.fits[one.id][1] for one in sent]]
    own = [CHOICES.index(own_choice(one.to_tier)) for one in sent]
    groups = {
        "best by tier": [one.to_tier.value for one in sent],
        "best by tier and reason": [f"{one.to_tier}/{one.reason}" for one in sent],
        "best by need": [str(loop.ledger.fits[one.id][1]) for one in sent],
    }
    found = {"own": float(of_each[np.arange(len(sent)), own].mean()), "chance": float(of_each.mean())}
    for name, keys in groups.items():
        _, group = np.unique(keys, return_inverse=True)
        best = [of_each[group == number].mean(axis=0).max() for number in range(int(group.max()) + 1)]
        found[name] = float(np.array(best)[group].mean())
    return found


def _favourites(loop: Loop) -> dict[str, list[tuple[str, float]]]:
    for one in loop.rules.of(TENANT).experiments:
        if one.name == LEARNS:
            weights = {tier.value: one.weights(tier, "") for tier in TIERS}
            return {
                tier: sorted(zip(CHOICE_NAMES, of_tier, strict=True), key=lambda it: -it[1])[:3]
                for tier, of_tier in weights.items()
            }
    return {}
