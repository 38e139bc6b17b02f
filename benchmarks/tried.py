"""What was tried for the churn model: other models, and the trees without a group of signals.

Everything is asked about the same rows: users held out, at later times. A second log, if there is one, is
only asked about, by models that were made of the whole first log. Needs the extra `train`.
"""

from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import alive
from inference.binary import Binary
from inference.training import gru
from inference.training.risk import HARD_WEIGHT, Examples, boost
from operators.signals import DAYS, NAMES, SIGNALS
from operators.signals.windows import DAY_MS, Windows
from streams.datasets import read_answers
from streams.risk.log import Cuts, Log, edges, read_log
from streams.risk.protocol import judged
from streams.risk.training import Make, examples_of, held_out

Answer = Callable[[NDArray[np.float32]], NDArray[np.float64]]
_WINDOWS = 4000
PLAIN = {
    *("quiet", "active_days_3d", "active_days_7d", "active_days_14d", "active_days_30d", "active_hours_7d"),
    *("active_hours_30d", "logins_7d", "logins_30d", "uses_7d", "uses_30d", "days_to_usual", "mean_gap"),
}
"""What one would count first."""
LAST_SEEN = {"signed_out", "sign_outs", "last_event", "uses_of_last_feature", "share_of_last_feature"}
"""What tells a user who signs out, or does what they seldom do, from one who loses the connection."""


class Candidate(NamedTuple):
    """What is tried: a way to learn, on signals or on days."""

    name: str
    make: Make
    on_days: bool = False


def trees(examples: Examples, without: Container[str] = (), **parameters: Any) -> Answer:
    """Boosted trees, without the signals of some groups or names perhaps."""
    kept = np.array([entry.group not in without and entry.name not in without for entry in SIGNALS.values()])
    booster = boost(examples._replace(signals=examples.signals[:, kept]), **parameters)
    return lambda signals: np.asarray(booster.predict(signals[:, kept], raw_score=True))


def logistic(examples: Examples) -> Answer:
    """Logistic regression on the logarithms of the signals."""
    logs = FunctionTransformer(lambda signals: np.sign(signals) * np.log1p(np.abs(signals)))
    model = make_pipeline(logs, StandardScaler(), LogisticRegression(C=0.02, max_iter=300))
    model.fit(examples.signals, examples.churned, logisticregression__sample_weight=_weights(examples))
    return lambda signals: np.asarray(model.decision_function(signals))


def both(examples: Examples) -> Answer:
    """The mean of the two."""
    one, other = trees(examples), logistic(examples)
    return lambda signals: (one(signals) + other(signals)) / 2


def recurrent(examples: Examples) -> Answer:
    """A GRU over the days."""
    answer = gru.fit(_as_days(examples.signals), examples.churned, _weights(examples))
    return lambda days: answer(_as_days(days))


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
    Candidate("trees, 15 leaves (shipped)", trees),
    Candidate("trees, 31 leaves", partial(trees, num_leaves=31)),
    Candidate("trees, 7 leaves, twice as many", partial(trees, num_leaves=7, rounds=600)),
    Candidate("logistic regression", logistic),
    Candidate("trees and logistic regression", both),
    Candidate("GRU over the days", recurrent, on_days=True),
    Candidate("BG/NBD over the active days", bg_nbd),
    Candidate("trees of plain counts", partial(trees, without=set(NAMES) - PLAIN)),
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
    first = _Asked(data, answers, lead_h)
    second = None if other is None else _Asked(other, None, lead_h)
    for candidate in CANDIDATES:
        report(candidate.name)
        rows, answer = held_out(first.examples(candidate), candidate.make)
        figures: dict[str, Any] = {"name": candidate.name, **_aucs(rows, answer)}
        if second is not None:
            of_other = second.examples(candidate)
            told = candidate.make(first.examples(candidate))(of_other.signals)
            figures |= {f"other_{name}": value for name, value in _aucs(of_other, told).items()}
        found.append(figures)
    return found


class _Asked:
    """A log's examples, as signals or as days."""

    def __init__(self, path: Path, answers: Path | None, lead_h: int) -> None:
        log, asked = read_log(path), None if answers is None else read_answers(answers)
        self._signals = examples_of(log, asked, lead_h)
        self._days = self._signals._replace(signals=_days(log, judged(log, asked, lead_h)[0].cuts))

    def examples(self, candidate: Candidate) -> Examples:
        return self._days if candidate.on_days else self._signals


def _aucs(rows: Examples, answer: NDArray[np.float64]) -> dict[str, float]:
    everyone = Binary(rows.churned, answer)
    hard = Binary(rows.churned[rows.is_hard], answer[rows.is_hard])
    return {
        "broad": everyone.auc(everyone.ones),
        "hard": hard.auc(hard.ones),
        "hard_pr_auc": hard.pr_auc(hard.ones),
    }


def _weights(examples: Examples) -> NDArray[np.float64]:
    return np.where(examples.is_hard, HARD_WEIGHT, 1.0)


def _as_days(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    return flat.reshape(len(flat), DAYS, -1)


def _days(log: Log, cuts: Cuts) -> NDArray[np.float32]:
    """Uses, logins, logouts, active hours in each third, and the state at the end of each day, flat.

    The oldest day stands first.
    """
    begin, end = edges(log, cuts)
    parts = (slice(first, first + _WINDOWS) for first in range(0, len(begin), _WINDOWS))
    return np.concatenate(
        [_days_of(Windows(log.sequence, begin[part], end[part], cuts.as_of_ms[part])) for part in parts]
    )


def _days_of(w: Windows) -> NDArray[np.float32]:
    def a_day(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        cell = w.row[mask] * DAYS + w.age_ms[mask] // DAY_MS
        return np.log1p(np.bincount(cell, minlength=w.rows * DAYS)).reshape(w.rows, DAYS, 1)

    def channels() -> Iterator[NDArray[np.float64]]:
        yield from map(a_day, (w.is_use, w.is_login, w.is_logout))
        yield w.hours.reshape(w.rows, DAYS, 3, 8).mean(axis=3)
        yield _state(w)[:, ::-1, np.newaxis]

    days = np.concatenate(list(channels()), axis=2)[:, ::-1]
    return days.reshape(w.rows, -1).astype(np.float32)


def _state(w: Windows) -> NDArray[np.float64]:
    """-1 on days at whose end the user had last logged out, 1 otherwise, 0 before the first event; by day."""
    said = np.zeros((w.rows, DAYS))
    said[w.row, DAYS - 1 - w.age_ms // DAY_MS] = np.where(w.is_logout, -1.0, 1.0)  # the last one stays
    last = np.maximum.accumulate(np.where(said != 0, np.arange(DAYS), 0), axis=1)
    return np.take_along_axis(said, last, axis=1)
