"""When users are judged, and whether they left: the protocol of every figure about churn.

The churn probability for `tau` is that of no event in (tau, tau + 30 days], judged a lead time earlier: as
of t = tau - lead, from the events of (t - 30 days, t] alone. `tau` is a midnight (UTC) each week.

Where there are answers, these say whom to judge for which `tau`, and who left: whoever the log knows by
then, active or not.

A log has holes, in which nobody seems active. A `tau` is dropped where more than two days of the whole log
are missing in the label's window or in the 33 days before it, and where the log ends before the label does.
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.signals import DAY_MS, DAYS, SPAN_MS
from schemas.errors import InputError
from streams.datasets import Answers
from streams.risk.log import Cuts, Log, edges, known

DAYS_BEFORE = 33
"""Days before `tau` that must be whole: those of the window, and 72 h of lead."""
MISSING_DAYS = 2
WEEK_DAYS = 7
HARD_DAYS = 3
LEAD_H = 72
HOUR_MS = DAY_MS // 24


class Task(StrEnum):
    """Whom to judge: of those with an active day in the window everyone, or those who seem to be well."""

    BROAD = "broad"
    HARD = "hard"
    """At least three active days, and active in the last seven days of the window."""


class Cutoffs(NamedTuple):
    """The moments at which a log's users can be judged, epoch ms, and those that were dropped for holes."""

    tau_ms: NDArray[np.int64]
    dropped_ms: NDArray[np.int64]


class Sample(NamedTuple):
    """Users at cut-offs, one a row: the cut, `tau`, whether they left, whether they are of the hard task."""

    cuts: Cuts
    tau_ms: NDArray[np.int64]
    churned: NDArray[np.bool_]
    is_hard: NDArray[np.bool_]

    def of(self, task: Task) -> "Sample":
        """The rows that `task` asks for."""
        return self if task is Task.BROAD else self.where(self.is_hard)

    def where(self, mask: NDArray[np.bool_]) -> "Sample":
        """The rows of `mask`."""
        cuts = Cuts(*(column[mask] for column in self.cuts))
        return Sample(cuts, self.tau_ms[mask], self.churned[mask], self.is_hard[mask])


def cutoffs(log: Log, every_days: int = WEEK_DAYS) -> Cutoffs:
    """The cut-offs of `log`, `every_days` apart.

    Raises:
        InputError: none is left; the text says why.
    """
    tau_ms, whole = marks(log.sequence.ts_ms, every_days)
    if not len(tau_ms):
        days = np.ptp(log.sequence.ts_ms // DAY_MS) + 1
        raise InputError(
            f"the log is too short: it spans {days} days, and {DAYS_BEFORE} before a cut-off"
            f" and {DAYS} after it are needed"
        )
    if not whole.any():
        raise InputError(
            f"the log has too many holes: all {len(tau_ms)} cut-offs have more than {MISSING_DAYS} days"
            " without any event around them"
        )
    return Cutoffs(tau_ms[whole], tau_ms[~whole])


def marks(
    ts_ms: NDArray[np.int64], every_days: int = WEEK_DAYS
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each `tau` of a log whose events are at `ts_ms` that has 33 days before and 30 after it, and whether
    these are whole."""
    day = ts_ms // DAY_MS
    first = int(day.min())
    present = np.zeros(int(day.max()) - first + 1, dtype=np.int64)
    present[np.unique(day) - first] = 1
    upto = np.append(0, np.cumsum(present))
    tau = np.arange(DAYS_BEFORE, len(present) - DAYS, every_days)
    missing_before = DAYS_BEFORE - (upto[tau] - upto[tau - DAYS_BEFORE])
    missing_after = DAYS - (upto[tau + DAYS] - upto[tau])
    whole = (missing_before <= MISSING_DAYS) & (missing_after <= MISSING_DAYS)
    return (first + tau) * DAY_MS, whole


def sample(log: Log, tau_ms: NDArray[np.int64], lead_h: int = LEAD_H) -> Sample:
    """Every user with an event in the window, at each `tau`."""
    users = len(log.users)
    everyone = np.tile(np.arange(users), len(tau_ms))
    tau = np.repeat(tau_ms, users)
    cuts = Cuts(everyone, tau - lead_h * HOUR_MS)
    begin, end = edges(log, cuts)
    some = end > begin
    cuts, tau = Cuts(*(column[some] for column in cuts)), tau[some]
    after, until = edges(log, Cuts(cuts.user, tau + SPAN_MS))
    return Sample(cuts=cuts, tau_ms=tau, churned=until == after, is_hard=_is_hard(log, cuts))


def answered(log: Log, answers: Answers, lead_h: int = LEAD_H) -> Sample:
    """The users and moments of `answers`: those of whom the log had an event or account before the lead.

    Raises:
        InputError: there is none of these, or the log has holes before each.
    """
    names, asked = np.unique(answers.user, return_inverse=True)
    place = np.searchsorted(log.users, names)
    is_there = log.users[np.minimum(place, len(log.users) - 1)] == names
    user, as_of_ms = place[asked], answers.tau_ms - lead_h * HOUR_MS
    chosen = is_there[asked] & _is_whole(log.sequence.ts_ms, answers.tau_ms)
    chosen[chosen] = known(log, Cuts(user[chosen], as_of_ms[chosen]))
    if not chosen.any():
        raise InputError(
            "the log tells of nobody who has an answer: it must know the user before the lead, and have at"
            f" most {MISSING_DAYS} days without any event in the {DAYS_BEFORE} days before the answer's time"
        )
    cuts = Cuts(user[chosen], as_of_ms[chosen])
    return Sample(cuts, answers.tau_ms[chosen], answers.left[chosen], _is_hard(log, cuts))


def judged(
    log: Log, answers: Answers | None = None, lead_h: int = LEAD_H, every_days: int = WEEK_DAYS
) -> tuple[Sample, NDArray[np.int64]]:
    """Whom to judge, by `answers` or else by silence, and the cut-offs (epoch ms) dropped for holes.

    `every_days` is from one cut-off to the next, where there are no answers.

    Raises:
        InputError: there is no cut-off, or no answer that can be judged.
    """
    if answers is not None:
        return answered(log, answers, lead_h), np.zeros(0, dtype=np.int64)
    found = cutoffs(log, every_days)
    return sample(log, found.tau_ms, lead_h), found.dropped_ms


def _is_whole(ts_ms: NDArray[np.int64], tau_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of each `tau`, whether the log has the days before it."""
    present, day = np.unique(ts_ms // DAY_MS), tau_ms // DAY_MS
    days = np.searchsorted(present, day) - np.searchsorted(present, day - DAYS_BEFORE)
    return np.asarray(DAYS_BEFORE - days <= MISSING_DAYS)


def _is_hard(log: Log, cuts: Cuts) -> NDArray[np.bool_]:
    """Which cuts are of the hard task."""
    begin, end = edges(log, cuts)
    row = np.repeat(np.arange(len(begin)), end - begin)
    at = np.arange(len(row)) - np.repeat(np.cumsum(end - begin) - (end - begin) - begin, end - begin)
    day = (cuts.as_of_ms[row] - log.sequence.ts_ms[at]) // DAY_MS
    days = np.zeros((len(begin), DAYS), dtype=np.bool_)
    days[row, day] = True
    return np.asarray((days.sum(axis=1) >= HARD_DAYS) & days[:, :WEEK_DAYS].any(axis=1))
