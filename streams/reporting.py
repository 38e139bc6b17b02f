"""How users took what was sent to them, in groups alike, each figure with its interval."""

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inference.intervals import bootstrap, wilson
from schemas.decision import Decision
from schemas.feedback import Feedback
from schemas.outcome import OutcomeKind
from schemas.vocabulary import HeldBy, Outcome, Tier
from streams.learning import ANSWERS, COMPLAINTS


class Share(Struct, frozen=True):
    """A share of the scripts sent, and its interval of 95 %."""

    value: float
    ci: tuple[float, float]


class Group(Struct, frozen=True, kw_only=True):
    """What was sent at one tier, for one reason, under the same arms, by one version of a model.

    `uplift` is the share of conversions less that of the `held_out` decisions at the same tier; null where
    there are none.
    """

    tier: Tier
    reason: str
    arm: str
    model: str
    sent: int
    response: Share
    conversion: Share
    complaint: Share
    held_out: int
    uplift: float | None
    uplift_ci: tuple[float, float] | None


def report(decisions: Iterable[Decision], feedback: Iterable[Feedback], simulated: bool) -> list[Group]:
    """The groups of all that was sent, by tier, reason, arm and model.

    Outcomes are real ones, or with `simulated` simulated ones; decisions that have only outcomes of the other
    sort are left out.
    """
    kinds: dict[str, set[OutcomeKind]] = {}
    others: set[str] = set()
    for one in feedback:
        if one.outcome.simulated is simulated:
            kinds.setdefault(one.outcome.decision_id, set()).add(one.outcome.kind)
        else:
            others.add(one.outcome.decision_id)
    known = [one for one in decisions if one.id in kinds or one.id not in others]
    groups: dict[tuple[Tier, str, str, str], list[Decision]] = {}
    held_out: dict[Tier, list[Decision]] = {}
    for decision in known:
        if decision.outcome is Outcome.SENT:
            groups.setdefault(_group(decision), []).append(decision)
        elif decision.held_by is HeldBy.HOLDOUT:
            held_out.setdefault(decision.to_tier, []).append(decision)
    found = []
    for key in sorted(groups, key=lambda one: (one[0].rank, one[1:])):
        tier, reason, arm, model = key
        sent, control = groups[key], held_out.get(tier, [])
        uplift, uplift_ci = _uplift(sent, control, kinds)
        found.append(
            Group(
                tier=tier,
                reason=reason,
                arm=arm,
                model=model,
                sent=len(sent),
                response=_share(sent, kinds, ANSWERS),
                conversion=_share(sent, kinds, frozenset({OutcomeKind.CONVERTED})),
                complaint=_share(sent, kinds, COMPLAINTS),
                held_out=len(control),
                uplift=uplift,
                uplift_ci=uplift_ci,
            )
        )
    return found


def _group(decision: Decision) -> tuple[Tier, str, str, str]:
    assigned = () if decision.ruling is None else decision.ruling.assigned
    script = decision.script
    return (
        decision.to_tier,
        decision.reason or "",
        ", ".join(f"{one.experiment}:{one.arm}" for one in assigned),
        "" if script is None else f"{script.model} {script.model_version}".strip(),
    )


def _share(sent: list[Decision], kinds: dict[str, set[OutcomeKind]], wanted: frozenset[OutcomeKind]) -> Share:
    hits = int(_has(sent, kinds, wanted).sum())
    return Share(hits / len(sent), wilson(hits, len(sent)))


def _uplift(
    sent: list[Decision], control: list[Decision], kinds: dict[str, set[OutcomeKind]]
) -> tuple[float | None, tuple[float, float] | None]:
    if not control:
        return None, None
    converted = _has([*sent, *control], kinds, frozenset({OutcomeKind.CONVERTED}))
    treated = np.arange(len(converted)) < len(sent)

    def gap(weights: NDArray[np.float64]) -> float:
        if not (weights * treated).any() or not (weights * ~treated).any():
            return float("nan")
        return float(
            np.average(converted, weights=weights * treated)
            - np.average(converted, weights=weights * ~treated)
        )

    users = [f"{one.tenant}/{one.user_id}" for one in (*sent, *control)]
    return gap(np.ones(len(converted))), bootstrap(gap, users)


def _has(
    decisions: list[Decision], kinds: dict[str, set[OutcomeKind]], wanted: frozenset[OutcomeKind]
) -> NDArray[np.bool_]:
    return np.array([not wanted.isdisjoint(kinds.get(one.id, ())) for one in decisions], dtype=bool)
