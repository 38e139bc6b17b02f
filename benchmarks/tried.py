"""What was tried for the churn model: other models, and the trees without a group of signals.

Everything is asked about the same rows: users held out, at later times. A second log, if there is one, is
only asked about, by models that were made of the whole first log. All learn from weekly cut-offs, fewer than
the shipped model does. Needs the extra `train`.
"""

from collections.abc import Callable, Container
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import alive
from benchmarks.events import events_at
from inference.binary import Binary
from inference.training import gru, linear
from inference.training.risk import Examples, boost, weights
from operators.signals import NAMES, SIGNALS
from streams.datasets import read_answers
from streams.risk.log import read_log
from streams.risk.protocol import judged
from streams.risk.training import Make, examples_of, held_out

Answer = Callable[[NDArray[np.float32]], NDArray[np.float64]]
PLAIN = {
    *("quiet", "active_days_3d", "active_days_7d", "active_days_14d", "active_days_30d", "active_hours_7d"),
    *("active_hours_30d", "logins_7d", "logins_30d", "uses_7d", "uses_30d", "days_to_usual", "mean_gap"),
}
"""What one would count first."""
LAST_SEEN = {"signed_out", "sign_outs", "last_event", "uses_of_last_feature", "share_of_last_feature"}
"""What tells a user who signs out, or does what they seldom do, from one who loses the connection."""

ATTENDANCE = {
    *("connections", "connections_before", "connected_for", "days_there", "hours_away", "last_stay"),
    *(f"there_{days}d" for days in (1, 3, 7, 30)),
    *("median_absence", "spread_of_absences", "hours_away_to_longest", "deviation_of_absence"),
    *("surprise_of_absence_14d", "surprise_of_absence_30d", "surprise_of_silence"),
    *("daily_overlap", "weekly_overlap", "oddness_of_last_hour", "logouts_a_day_there"),
}
"""What tells when the user is there at all, and how odd it is that the user is not."""


class Candidate(NamedTuple):
    """What is tried: a way to learn, from rows of signals and, after them, events."""

    name: str
    make: Make


def trees(examples: Examples, without: Container[str] = (), **parameters: Any) -> Answer:
    """Boosted trees, without the signals of some groups or names perhaps."""
    kept = np.array([entry.group not in without and entry.name not in without for entry in SIGNALS.values()])
    columns = np.flatnonzero(kept)
    booster = boost(examples._replace(signals=examples.signals[:, columns]), **parameters)
    return lambda rows: np.asarray(booster.predict(rows[:, columns], raw_score=True))


def logistic(examples: Examples) -> Answer:
    """Logistic regression on the logarithms of the signals."""
    return blend(examples, share=1.0)


def blend(examples: Examples, share: float = linear.SHARE) -> Answer:
    """Trees, and the regression with its share of the say."""
    signals = examples.signals[:, : len(NAMES)]
    beside = linear.fit(signals, examples.churned, weights(examples))
    beside = msgspec.structs.replace(beside, share=share)
    if share == 1:
        return lambda rows: beside.blended(np.zeros(len(rows)), rows[:, : len(NAMES)])
    one = trees(examples)
    return lambda rows: beside.blended(one(rows), rows[:, : len(NAMES)])


def recurrent(examples: Examples) -> Answer:
    """A GRU over the events."""
    answer = gru.fit(examples.signals[:, len(NAMES) :], examples.churned, weights(examples))
    return lambda rows: answer(rows[:, len(NAMES) :])


def with_recurrent(examples: Examples) -> Answer:
    """Two parts of trees and one of the GRU, in log-odds."""
    one, other = trees(examples), recurrent(examples)
    return lambda rows: (2 * one(rows) + other(rows)) / 3


def bg_nbd(examples: Examples) -> Answer:
    """BG/NBD over the active days."""

    def columns(signals: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        active, known, span = (
            signals[:, NAMES.index(name)].astype(np.float64)
            for name in ("active_days_30d", "known_for", "span_of_activity")
        )
        return [active - 1, span, known]

    silence = alive.fit(*columns(examples.signals))
    return lambda signals: silence(*columns(signals))


CANDIDATES = (
    Candidate("trees and logistic regression (as shipped)", blend),
    Candidate("trees, 15 leaves", trees),
    Candidate("trees, 31 leaves", partial(trees, num_leaves=31)),
    Candidate("trees, 7 leaves, twice as many", partial(trees, num_leaves=7, rounds=600)),
    Candidate("logistic regression", logistic),
    Candidate("trees and logistic regression, half and half", partial(blend, share=0.5)),
    Candidate("GRU over the events", recurrent),
    Candidate("trees and GRU", with_recurrent),
    Candidate("BG/NBD over the active days", bg_nbd),
    Candidate("trees of plain counts", partial(trees, without=set(NAMES) - PLAIN)),
    Candidate("trees without hours there", partial(trees, without=ATTENDANCE)),
    Candidate("trees without how the user left last", partial(trees, without=LAST_SEEN)),
    *(
        Candidate(f"trees without {group}", partial(trees, without={group}))
        for group in sorted({entry.group for entry in SIGNALS.values()} - {"errors", "support", "account"})
    ),
)


def compare(
    data: Path, other: Path | None, answers: Path | None, lead_h: int, report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The figures of each candidate on `data`, and on `other`, if there is one.

    `answers` says who left of `data`; else silence does. All are told `lead_h` hours ahead.

    Raises:
        InputError: a log cannot be read, is too short or has too many holes.
    """
    found = []
    first = _examples(data, answers, lead_h)
    second = None if other is None else _examples(other, None, lead_h)
    for candidate in CANDIDATES:
        report(candidate.name)
        rows, answer = held_out(first, first, candidate.make)
        figures: dict[str, Any] = {"name": candidate.name, **_aucs(rows, answer)}
        if second is not None:
            told = candidate.make(first)(second.signals)
            figures |= {f"other_{name}": value for name, value in _aucs(second, told).items()}
        found.append(figures)
    return found


def _examples(path: Path, answers: Path | None, lead_h: int) -> Examples:
    """A log's examples: the signals, and after them the events."""
    log, asked = read_log(path), None if answers is None else read_answers(answers)
    found = examples_of(log, asked, lead_h)
    events = events_at(log, judged(log, asked, lead_h)[0].cuts)
    return found._replace(signals=np.concatenate([found.signals, events], axis=1))


def _aucs(rows: Examples, answer: NDArray[np.float64]) -> dict[str, float]:
    everyone = Binary(rows.churned, answer)
    hard = Binary(rows.churned[rows.is_hard], answer[rows.is_hard])
    return {
        "broad": everyone.auc(everyone.ones),
        "hard": hard.auc(hard.ones),
        "hard_pr_auc": hard.pr_auc(hard.ones),
    }
