"""What a simulation says: each arm's figures and their difference against no action, with intervals.

Users are drawn with replacement for the intervals. The truth, which only a simulation knows, is the
difference between customers and their doubles, who live through the same days without messages.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from rich.table import Table

from benchmarks.simulation.arms import CHOICES
from benchmarks.simulation.customers import Flags, Floats
from benchmarks.simulation.loop import Ledger, Loop, written_share
from inference.intervals import bootstrap
from schemas.decision import Decision
from schemas.outcome import OutcomeKind
from schemas.vocabulary import TIERS, Outcome, Tier
from streams.commands.output import out

_ANSWERS = {OutcomeKind.CLICKED, OutcomeKind.REPLIED}
_PER_USER = ("churned", "active_hours", "revenue", "complaints", "messages")
_FEWEST = 10
_LOG_STEP = 7


class Figure(Struct, frozen=True, kw_only=True):
    """A mean per user, and its interval of 95 %."""

    value: float
    ci: tuple[float, float]


class ArmReport(Struct, frozen=True, kw_only=True):
    """One arm: its figures, and their difference against no action. `effect_on_churn` is the truth.

    `revenue` is conversions less the costs of offers, in the tenant's currency. `churned` is known of all
    users, also of those about whom nothing was ever decided.
    """

    arm: str
    users: int
    figures: dict[str, Figure]
    against_none: dict[str, Figure]
    effect_on_churn: float


class Recovery(Struct, frozen=True, kw_only=True):
    """An effect on churn as the topics' records alone give it, of users about whom something was decided.

    `truth` is what the messages did to just these users.
    """

    arm: str
    users: int
    estimate: Figure
    truth: float
    covered: bool


class Weekly(Struct, frozen=True, kw_only=True):
    """A week of an arm: how many messages, and the share of them that was answered."""

    arm: str
    week: int
    sent: int
    answered: float


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
    favourites: dict[str, list[tuple[str, float]]]
    """By tier, the choices to which the learner gave the most weight at the end."""
    here: list[list[float]]


def report(loop: Loop, engine: str, seconds: float, differing: int) -> Report:
    """The figures of a loop that has run."""
    ledger, plan = loop.ledger, loop.plan
    sent = [one for one in ledger.decisions if one.outcome is Outcome.SENT]
    assumed = msgspec.to_builtins(plan)
    return Report(
        parameters=assumed,
        engine=engine,
        seconds=round(seconds, 1),
        events=ledger.events,
        decisions=len(ledger.decisions),
        sent=len(sent),
        written_share=written_share(ledger.decisions),
        held_by=dict(Counter(one.held_by.value for one in ledger.decisions if one.held_by is not None)),
        differing=differing,
        arms=[_arm(ledger, arm) for arm in plan.arms],
        recovery=[_recovery(loop, arm) for arm in plan.arms if arm != "none"],
        weekly=_weekly(loop, sent),
        favourites=_favourites(ledger),
        here=ledger.here,
    )


def per_user(ledger: Ledger) -> dict[str, Floats]:
    """Each figure of each user."""
    return {
        "churned": ledger.churned.astype(np.float64),
        "active_hours": ledger.active_hours,
        "revenue": ledger.revenue - ledger.cost,
        "complaints": ledger.complaints,
        "messages": ledger.messages,
    }


def _arm(ledger: Ledger, arm: str) -> ArmReport:
    values, of_arm = per_user(ledger), _mask(ledger, arm)
    control = _mask(ledger, "none")
    against = (
        {}
        if arm == "none" or not control.any()
        else {name: difference(values[name][of_arm], values[name][control]) for name in _PER_USER}
    )
    effect = ledger.churned[of_arm].mean() - ledger.left_alone[of_arm].mean()
    return ArmReport(
        arm=arm,
        users=int(of_arm.sum()),
        figures={name: mean(values[name][of_arm]) for name in _PER_USER},
        against_none=against,
        effect_on_churn=float(effect),
    )


def mean(values: Floats) -> Figure:
    """The mean of users' values."""
    ci = bootstrap(lambda weights: float(np.average(values, weights=weights)), np.arange(len(values)))
    return Figure(value=float(values.mean()), ci=ci)


def difference(treated: Floats, control: Floats) -> Figure:
    """The difference of two groups' means, users of both drawn with replacement."""
    values = np.concatenate([treated, control])
    is_treated = np.arange(len(values)) < len(treated)

    def gap(weights: Floats) -> float:
        of_treated, of_control = weights * is_treated, weights * ~is_treated
        if not of_treated.any() or not of_control.any():
            return float("nan")
        return float(np.average(values, weights=of_treated) - np.average(values, weights=of_control))

    return Figure(value=gap(np.ones(len(values))), ci=bootstrap(gap, np.arange(len(values))))


def _recovery(loop: Loop, arm: str) -> Recovery:
    """From decisions and outcomes alone: arms as the records name them, churn as it was reported."""
    ledger = loop.ledger
    given = _given(ledger.decisions)
    left = {one.user_id for one in ledger.outcomes if one.kind is OutcomeKind.CHURNED}
    groups = {
        name: np.array([float(user in left) for user, its in given.items() if its == name])
        for name in (arm, "none")
    }
    crossed = np.array([given.get(name) == arm for name in loop.customers.ids])
    nothing = Figure(value=float("nan"), ci=(float("nan"), float("nan")))
    enough = all(len(group) >= _FEWEST for group in groups.values())
    estimate = difference(groups[arm], groups["none"]) if enough else nothing
    # Reported are those who ever left: so the truth counts who was won back as one who left.
    churned, double = loop.ever_left[crossed], ledger.left_alone[crossed]
    truth = float(churned.mean() - double.mean()) if crossed.any() else float("nan")
    return Recovery(
        arm=arm,
        users=len(groups[arm]),
        estimate=estimate,
        truth=truth,
        covered=estimate.ci[0] <= truth <= estimate.ci[1],
    )


def _given(decisions: Sequence[Decision]) -> dict[str, str]:
    given: dict[str, str] = {}
    for one in decisions:
        if one.ruling is not None and one.ruling.assigned:
            given.setdefault(one.user_id, one.ruling.assigned[0].experiment)
    return given


def _weekly(loop: Loop, sent: Sequence[Decision]) -> list[Weekly]:
    answered = {one.decision_id for one in loop.ledger.outcomes if one.kind in _ANSWERS}
    arm = dict(zip(loop.customers.ids, loop.ledger.arm, strict=True))
    found: defaultdict[tuple[str, int], list[bool]] = defaultdict(list)
    for one in sent:
        found[arm[one.user_id], (one.at - loop.live_ms) // (_LOG_STEP * 86_400_000)].append(
            one.id in answered
        )
    return [
        Weekly(arm=name, week=week, sent=len(many), answered=float(np.mean(many)))
        for (name, week), many in sorted(found.items())
    ]


def _favourites(ledger: Ledger) -> dict[str, list[tuple[str, float]]]:
    if not ledger.weights:
        return {}

    def best(tier: Tier) -> list[tuple[str, float]]:
        weights = ledger.weights[-1][tier.value]
        ordered = sorted(zip(weights, CHOICES, strict=True), key=lambda one: -one[0])[:3]
        return [(f"{strategy} with {offer or 'no offer'}", weight) for weight, (strategy, offer) in ordered]

    return {tier.value: best(tier) for tier in TIERS}


def _mask(ledger: Ledger, arm: str) -> Flags:
    return np.array([one == arm for one in ledger.arm])


_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "churned": ("churned", lambda value: f"{value:.1%}"),
    "active_hours": ("active hours", lambda value: f"{value:.1f}"),
    "revenue": ("revenue", lambda value: f"{value:.2f}"),
    "complaints": ("complaints", lambda value: f"{value:.3f}"),
    "messages": ("messages", lambda value: f"{value:.2f}"),
}


def show(found: Report) -> None:
    """Two tables for people: each arm, and each against no action."""
    plan = found.parameters
    out.print(
        f"[bold]SIMULATED[/], world {plan['world']}, seed {plan['seed']}: {plan['users']:,} customers, "
        f"{plan['days']} days, {found.events:,} events, {found.decisions:,} decisions, {found.sent:,} sent, "
        f"{found.written_share:.0%} written by the model; {found.engine}, {found.seconds:.0f} s"
    )
    for title, get in (("per user", "figures"), ("against no action", "against_none")):
        table = Table("arm", "users", *(name for name, _ in _COLUMNS.values()), title=title)
        for one in found.arms:
            figures: dict[str, Figure] = getattr(one, get)
            if figures:
                table.add_row(one.arm, str(one.users), *(_cell(name, figures[name]) for name in _COLUMNS))
        out.print(table)
    for it in found.recovery:
        told = _COLUMNS["churned"][1]
        out.print(
            f"{it.arm}: effect on leaving, of {it.users} users with a decision: records say "
            f"{_cell('churned', it.estimate)}, the truth is {told(it.truth)}"
        )


def _cell(name: str, figure: Figure) -> str:
    told = _COLUMNS[name][1]
    return f"{told(figure.value)} ({told(figure.ci[0])} … {told(figure.ci[1])})"
