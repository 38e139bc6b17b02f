"""What the decisions led to, in figures: of the service itself, and of the users who were written to.

The service is judged by its own records. Users are judged by the outcomes that their tenant reports, each
tied to its decision by id; a comparison needs users who were held out, and where there are none a figure
says so.
Real outcomes and simulated ones are never put together.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inference.intervals import bootstrap
from schemas.decision import Decision
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.vocabulary import Cause, HeldBy, Outcome, Rung

BUDGET_MS = 50
ANSWERS = {OutcomeKind.CLICKED, OutcomeKind.REPLIED, OutcomeKind.CONVERTED}
COMPLAINTS = {OutcomeKind.COMPLAINT, OutcomeKind.UNSUBSCRIBED}
_PROMOTER, _DETRACTOR = 9, 6


class Figure(Struct, frozen=True, kw_only=True):
    """A figure, its interval of 95 %, the cases it rests on; or, in `missing`, why there is none."""

    value: float | None = None
    ci: tuple[float, float] | None = None
    n: int = 0
    remark: str = ""
    missing: str = ""


class Published(Struct, frozen=True):
    """A decision, and the broker's append time of its record (epoch ms)."""

    decision: Decision
    append_ms: int


class Effects:
    """The figures of `published` decisions, copies of an id counted once, and of what came of them.

    `outcomes` are real ones, or with `simulated` those that a simulation made; what is late or comes twice
    counts once, and what names no decision that is known is left out.
    """

    def __init__(
        self, published: Iterable[Published], outcomes: Iterable[UserOutcome], simulated: bool = False
    ) -> None:
        first: dict[str, Published] = {}
        for one in published:
            first.setdefault(one.decision.id, one)
        self._all = list(first.values())
        self._outcomes = _by_decision(outcomes, first.keys(), simulated)
        self._remark = "simulated outcomes" if simulated else ""
        self._sent = [one.decision for one in self._all if one.decision.outcome is Outcome.SENT]
        self._held_out = [one.decision for one in self._all if one.decision.held_by is HeldBy.HOLDOUT]

    def latency_p99_ms(self) -> Figure:
        """Detection to publication of what was sent, 99th percentile, ms."""
        sent = [one for one in self._all if one.decision.outcome is Outcome.SENT]
        if not sent:
            return Figure(missing="nothing was sent")
        took = np.array([one.append_ms - one.decision.timing.detected_ms for one in sent])
        within = float(np.mean(took <= BUDGET_MS))
        order = np.argsort(took)
        return Figure(
            value=float(np.quantile(took, 0.99)),
            ci=bootstrap(lambda weights: _quantile(took[order], weights[order], 0.99), np.arange(len(took))),
            n=len(took),
            remark=f"{within:.1%} within {BUDGET_MS} ms",
        )

    def draft_hit_rate(self) -> Figure:
        """Share of the declines sent whose script had been written ahead for this very user."""
        declines = [one for one in self._sent if one.cause is Cause.DECLINE]
        return self._share(
            declines,
            lambda one: one.script is not None and one.script.rung is Rung.DRAFT,
            "no decline was sent",
        )

    def response_rate(self) -> Figure:
        """Share of sent scripts that were clicked, replied to or followed by a conversion."""
        return self._of_outcomes(self._sent, ANSWERS)

    def response_lift(self) -> Figure:
        """The same, of scripts that the model wrote, less that of templates."""
        written = [one for one in self._sent if _rung(one) is not Rung.TEMPLATE]
        templates = [one for one in self._sent if _rung(one) is Rung.TEMPLATE]
        return self._difference(written, templates, self._has(ANSWERS), "templates were sent")

    def complaint_rate(self) -> Figure:
        """Share of sent scripts that were followed by a complaint, or by the user's leaving the list."""
        return self._of_outcomes(self._sent, COMPLAINTS)

    def conversion_lift(self) -> Figure:
        """Share of users who converted: those written to, less those held out."""
        return self._against_holdout(self._has({OutcomeKind.CONVERTED}))

    def churn_change(self) -> Figure:
        """Share of users who left: those written to, less those held out. Below 0 is good."""
        return self._against_holdout(self._has({OutcomeKind.CHURNED}))

    def nps_change(self) -> Figure:
        """Net promoter score (-100 to 100) of those written to, less that of those held out."""
        answered = [
            [one for one in arm if self._answers(one.id, OutcomeKind.NPS)]
            for arm in (self._sent, self._held_out)
        ]
        return self._difference(
            answered[0], answered[1], self._nps, "users who were held out answered", scale=100.0
        )

    def ltv_effect(self) -> Figure:
        """What conversions brought per decision: of those written to, less of those held out, in currency."""
        return self._against_holdout(lambda one: sum(self._answers(one.id, OutcomeKind.CONVERTED)))

    def cost_per_saved(self, cost_per_script: float | None) -> Figure:
        """What was spent on scripts for each user who stayed and would have left, in currency.

        Costs of all scripts sent ÷ (fall of the churn rate × users written to).
        """
        if cost_per_script is None:
            return Figure(missing="no cost was given (--cost-per-script)")
        change = self.churn_change()
        if change.value is None or change.ci is None:
            return change
        if change.ci[1] >= 0:
            return Figure(n=change.n, missing="that anybody was saved is not certain", remark=change.remark)
        return Figure(
            value=cost_per_script / -change.value,
            ci=(cost_per_script / -change.ci[0], cost_per_script / -change.ci[1]),
            n=change.n,
            remark=change.remark,
        )

    def _of_outcomes(self, arm: Sequence[Decision], kinds: set[OutcomeKind]) -> Figure:
        if not self._outcomes:
            return Figure(missing="no outcome has been reported")
        return self._share(arm, self._has(kinds), "nothing was sent")

    def _against_holdout(self, of: Callable[[Decision], float]) -> Figure:
        return self._difference(self._sent, self._held_out, of, "users were held out")

    def _share(self, arm: Sequence[Decision], of: Callable[[Decision], float], nobody: str) -> Figure:
        if not arm:
            return Figure(missing=nobody)
        values = np.array([float(of(one)) for one in arm])
        ci = bootstrap(lambda weights: float(np.average(values, weights=weights)), _users(arm))
        return Figure(value=float(values.mean()), ci=ci, n=len(arm), remark=self._remark)

    def _difference(
        self,
        treated: Sequence[Decision],
        control: Sequence[Decision],
        of: Callable[[Decision], float],
        lacking: str,
        scale: float = 1.0,
    ) -> Figure:
        if not self._outcomes:
            return Figure(missing="no outcome has been reported")
        if not treated:
            return Figure(missing="nothing was sent")
        if not control:
            return Figure(missing=f"no {lacking}")
        arms = [*treated, *control]
        values = np.array([float(of(one)) * scale for one in arms])
        is_treated = np.arange(len(arms)) < len(treated)
        every = np.ones(len(arms))
        return Figure(
            value=_gap(values, is_treated, every),
            ci=bootstrap(lambda weights: _gap(values, is_treated, weights), _users(arms)),
            n=len(arms),
            remark=", ".join(filter(None, (f"{len(treated):,} against {len(control):,}", self._remark))),
        )

    def _has(self, kinds: set[OutcomeKind]) -> Callable[[Decision], bool]:
        return lambda one: not kinds.isdisjoint(self._outcomes[one.id]) if one.id in self._outcomes else False

    def _answers(self, decision_id: str, kind: OutcomeKind) -> list[float]:
        return self._outcomes[decision_id].get(kind, []) if decision_id in self._outcomes else []

    def _nps(self, one: Decision) -> float:
        return promotes(self._answers(one.id, OutcomeKind.NPS)[-1])


def promotes(score: float) -> float:
    """What an answer from 0 to 10 is to the net promoter score: 1 a promoter, -1 a detractor, else 0."""
    return float(score >= _PROMOTER) - float(score <= _DETRACTOR)


def distinct(outcomes: Iterable[UserOutcome], simulated: bool) -> Iterator[UserOutcome]:
    """The real outcomes, or the `simulated` ones, in the order of their time; of copies the first."""
    seen: set[tuple[str, str]] = set()
    for outcome in sorted(outcomes, key=lambda one: (one.ts, one.outcome_id)):
        identity = (outcome.tenant, outcome.outcome_id)
        if outcome.simulated is simulated and identity not in seen:
            seen.add(identity)
            yield outcome


def _by_decision(
    outcomes: Iterable[UserOutcome], known: Iterable[str], simulated: bool
) -> dict[str, dict[OutcomeKind, list[float]]]:
    ids = set(known)
    found: dict[str, dict[OutcomeKind, list[float]]] = {}
    for outcome in distinct(outcomes, simulated):
        if outcome.decision_id in ids:
            found.setdefault(outcome.decision_id, defaultdict(list))[outcome.kind].append(outcome.value)
    return found


def _users(decisions: Sequence[Decision]) -> NDArray[np.str_]:
    """Who each decision is about: one user's decisions resemble each other, and are drawn together."""
    return np.array([f"{one.tenant}/{one.user_id}" for one in decisions])


def _rung(decision: Decision) -> Rung | None:
    return None if decision.script is None else decision.script.rung


def _gap(values: NDArray[np.float64], treated: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    of_treated, of_control = weights * treated, weights * ~treated
    if not of_treated.any() or not of_control.any():
        return float("nan")
    return float(np.average(values, weights=of_treated) - np.average(values, weights=of_control))


def _quantile(ordered: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The smallest of the `ordered` values with at least `share` of the weight up to it."""
    reached = np.cumsum(weights)
    return float(ordered[np.searchsorted(reached, share * reached[-1])])
