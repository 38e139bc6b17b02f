"""The report on an experiment: each arm against the control, checked, and said in words."""

from collections.abc import Iterator, Mapping

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from inference.experiments import MIN_UNITS, Contrast, Harm, Mismatch, Rows, contrast, harm, mismatch
from inference.sequential import ALPHA
from schemas.errors import InputError
from streams.experiments.metrics import CONVERSION, MARGINS, METRICS, NPS, RESPONSE, Metric
from streams.experiments.units import (
    HELD_OUT,
    Log,
    Trial,
    Units,
    against_holdout,
    firsts,
    lost,
    placed,
    switched,
    units,
)
from streams.experiments.words import verdict

DAY_MS = 86_400_000
WINDOW_DAYS = 14
LEAST_LOST = 0.01
"""Share of an arm's units that may be lost after the arm was given, whatever the other arms lose."""
LOOKS = 60
"""How many past looks are kept, of the goal and of the guardrails."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is asked of the records.

    `control` is the arm to compare with; the first, if none is named. `goal` is the metric that the verdict
    is on; if none, response, or conversion where an arm sends nothing. What came of a unit within
    `window_days` counts. `until_ms` is the end of event time, by default the latest record's. `margins` are
    those of the guardrails, as shares.
    """

    control: str | None = None
    goal: str | None = None
    window_days: float = WINDOW_DAYS
    until_ms: int | None = None
    margins: Mapping[str, float] = field(default_factory=lambda: dict(MARGINS))


class Look(Struct, frozen=True):
    """A difference and its interval as they stood at `at` (epoch ms)."""

    at: int
    difference: float
    low: float
    high: float


class Comparison(Struct, frozen=True, kw_only=True):
    """A metric of an arm less the control's; or, in `missing`, why there is none yet.

    Figures are in the metric's own measure; times `scale` they are in `unit`. `margin` and `harm` are a
    guardrail's.
    """

    metric: str
    unit: str
    scale: float
    margin: float | None = None
    found: Contrast | None = None
    harm: Harm | None = None
    missing: str = ""
    looks: tuple[Look, ...] = ()


class Arm(Struct, frozen=True, kw_only=True):
    """An arm: the `assigned` units, the `exposed` ones of them, and those `counted`, whose window is over."""

    name: str
    assigned: int
    exposed: int
    counted: int
    verdict: str = ""
    comparisons: tuple[Comparison, ...] = ()


class Report(Struct, frozen=True, kw_only=True):
    """All that is known of an experiment up to `as_of` (epoch ms, event time)."""

    tenant: str
    experiment: str
    unit: str
    control: str
    goal: str
    simulated: bool
    as_of: int
    window_days: float
    assigned: Mismatch
    exposed: Mismatch
    lost: Mismatch
    """Units that were to be sent something and were not: as the shares want them, if no arm loses more."""
    arms: tuple[Arm, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether the arms are as large as they should be; if they are not, no difference is told."""
        return not (self.assigned.is_found or self.exposed.is_found or self.is_lossy)

    @property
    def is_lossy(self) -> bool:
        """Whether an arm loses units that others keep, after they were given to it."""
        shares = [
            gone / max(1, all_of) for gone, all_of in zip(self.lost.seen, self.assigned.seen, strict=True)
        ]
        return self.lost.is_found and max(shares) > LEAST_LOST


class _Data(Struct, frozen=True):
    """What every comparison of a trial needs."""

    trial: Trial
    found: Units
    is_over: NDArray[np.bool_]
    window_ms: int
    as_of: int
    silent: frozenset[str]
    """Arms that nothing is sent to."""


def report(trial: Trial, log: Log, plan: Plan, simulated: bool = False) -> Report:
    """The report on `trial`, from the outcomes in `log`.

    Raises:
        InputError: the plan names a control that the experiment does not have.
    """
    trial, control = _with_control(trial, plan.control)
    window_ms = round(plan.window_days * DAY_MS)
    as_of = log.latest if plan.until_ms is None else plan.until_ms
    found = units(trial, log.told, window_ms)
    silent = frozenset(arm for at, arm in enumerate(trial.arms) if not found.sent[found.arm == at].any())
    data = _Data(trial, found, found.at + window_ms <= as_of, window_ms, as_of, silent)
    base = Report(
        tenant=trial.tenant,
        experiment=trial.name,
        unit=trial.unit,
        control=control,
        goal=plan.goal or (CONVERSION if silent else RESPONSE).name,
        simulated=simulated,
        as_of=as_of,
        window_days=plan.window_days,
        assigned=mismatch(*placed(trial, firsts(trial, exposed=False))),
        exposed=mismatch(*placed(trial, firsts(trial, exposed=True))),
        lost=_lost(trial, silent),
        notes=tuple(_notes(trial, log)),
    )
    return replace(base, arms=tuple(_arms(base, data, replace(plan, goal=base.goal))))


def _lost(trial: Trial, silent: frozenset[str]) -> Mismatch:
    """Of which arms the units are that were lost; an arm that sends nothing has nothing to lose."""
    arm, shares = placed(trial, lost(trial))
    shares = shares * np.array([name not in silent for name in trial.arms])
    return mismatch(arm, shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12))


def _with_control(trial: Trial, wanted: str | None) -> tuple[Trial, str]:
    """The trial, with those held out as an arm where they are the control; and the control's name."""
    if (wanted == HELD_OUT and HELD_OUT not in trial.arms) or (wanted is None and len(trial.arms) == 1):
        return against_holdout(trial), HELD_OUT
    if wanted is not None and wanted not in trial.arms:
        raise InputError(
            f"{trial.tenant}/{trial.name} has no arm {wanted}: it has {', '.join(trial.arms)}, and {HELD_OUT}"
        )
    return trial, wanted or trial.arms[0]


def _arms(base: Report, data: _Data, plan: Plan) -> Iterator[Arm]:
    for at, name in enumerate(data.trial.arms):
        arm = Arm(
            name=name,
            assigned=base.assigned.seen[at],
            exposed=base.exposed.seen[at],
            counted=int((data.is_over & (data.found.arm == at)).sum()),
        )
        if name != base.control:
            if base.is_readable:
                made = (_compared(data, name, base.control, metric, plan) for metric in METRICS)
                arm = replace(arm, comparisons=tuple(made))
            arm = replace(
                arm, verdict=verdict(name, base.control, base.goal, arm.comparisons, base.is_readable)
            )
        yield arm


def _compared(data: _Data, name: str, control: str, metric: Metric, plan: Plan) -> Comparison:
    margin = plan.margins[metric.name] if metric.guardrail else None
    base = Comparison(metric=metric.name, unit=metric.unit, scale=metric.scale, margin=margin)
    if metric is RESPONSE and {name, control} & data.silent:
        return replace(base, missing="who gets no script cannot answer one")
    rows, at = _rows(data, name, control, metric)
    alpha = ALPHA / (len(data.trial.arms) - 1)
    found = contrast(rows, alpha)
    has_control = bool(data.found.shares[:, data.trial.arms.index(control)].any())
    if found is None:
        return replace(base, missing=_missing(rows, name, control, metric, has_control))
    looks = []
    past = np.linspace(at[0], data.as_of, LOOKS) if metric.guardrail or metric.name == plan.goal else ()
    for when in past:
        then = contrast(rows.first(int(np.searchsorted(at, when, side="right"))), alpha)
        if then is not None:
            looks.append(Look(round(float(when)), then.difference, then.low, then.high))
    return replace(
        base, found=found, looks=tuple(looks), harm=None if margin is None else harm(found, margin)
    )


def _rows(data: _Data, name: str, control: str, metric: Metric) -> tuple[Rows, NDArray[np.int64]]:
    """The rows of an arm and its control, and when (epoch ms) each began to count.

    Where only one of the two was possible there is nothing to compare.
    """
    arm, other = (data.trial.arms.index(one) for one in (name, control))
    found, values = data.found, metric.values(data.found.told)
    both = (found.shares[:, arm] > 0) & (found.shares[:, other] > 0)
    chosen = data.is_over & both & np.isin(found.arm, (arm, other)) & ~np.isnan(values)
    share = found.shares[np.arange(len(found.arm)), found.arm]
    rows = Rows(
        outcome=values,
        treated=found.arm == arm,
        propensity=np.where(share > 0, share, 1.0),
        user=found.user,
        covariates=found.covariates,
    )
    return rows.only(chosen), found.at[chosen] + data.window_ms


def _missing(rows: Rows, name: str, control: str, metric: Metric, has_control: bool) -> str:
    many = [len(np.unique(rows.user[side])) for side in (rows.treated, ~rows.treated)]
    if control == HELD_OUT and not has_control:
        return "nobody is held out to compare with"
    if min(many) >= MIN_UNITS:
        return "nothing has happened in either arm"
    who = "users who answered" if metric is NPS else "users"
    return f"{many[0]:,} {who} in {name} and {many[1]:,} in {control}; {MIN_UNITS} in each are needed"


def _notes(trial: Trial, log: Log) -> Iterator[str]:
    moved = switched(trial)
    if moved:
        yield f"{moved:,} users met another arm later; they count for their first"
    lost = [sum(one.arm == arm and one.lost for one in trial.chances) for arm in trial.arms]
    if any(lost):
        told = ", ".join(f"{arm} {many:,}" for arm, many in zip(trial.arms, lost, strict=True))
        yield f"decisions held by the guard or the offer budget are no exposure: {told}"
    if log.unmatched:
        yield f"{log.unmatched:,} outcomes name no decision that is known of their user"
    if log.unruled:
        yield f"{log.unruled:,} decisions are under versions of the rules that are not known"
