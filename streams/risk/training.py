"""Trains the churn model from logs, and measures it on users and times that it has not seen.

It learns from cut-offs two days apart, which fall on every day of the week, and is asked about weekly ones.

The figures are of models made the same way: three times a third of a log's users is held out, the model is
made of the other users up to 60 % of the log's time and of all other logs, and asked about the held-out users
after that. The model that is shipped is made of everything.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.binary import Binary
from inference.training import risk_card
from inference.training.risk import Examples, Model, fit, folds, save
from inference.training.surrogate import Surrogate
from operators.signals import DAYS, NAMES, SPAN_MS
from streams.datasets import Answers, read_answers
from streams.risk.log import Log, read_log, signals_at
from streams.risk.protocol import LEAD_H, WEEK_DAYS, judged
from streams.risk.scoring import THRESHOLD

EARLIER = 0.6
"""The share of a log's cut-offs that the held-out figures are trained on."""
HELD_OUT_FOLDS = 3
LEARN_EVERY_DAYS = 2
SILENCE = f"does nothing at all in the {DAYS} days that begin {LEAD_H} hours later"
Report = Callable[[str], None]


def examples_of(
    log: Log, answers: Answers | None = None, lead_h: int = LEAD_H, every_days: int = WEEK_DAYS
) -> Examples:
    """All users of `log` at all of its cut-offs, `every_days` apart; those in `answers`, if given."""
    found, _ = judged(log, answers, lead_h, every_days)
    return Examples(
        signals=signals_at(log, found.cuts),
        user=found.cuts.user.astype(np.int64),
        tau_ms=found.tau_ms,
        churned=found.churned,
        is_hard=found.is_hard,
    )


def together(parts: Sequence[Examples]) -> Examples:
    """The examples of several logs; users of different logs are different users."""
    shift = np.cumsum([0, *(int(part.user.max()) + 1 for part in parts[:-1])])
    shifted = [part._replace(user=part.user + by) for part, by in zip(parts, shift, strict=True)]
    return Examples(*(np.concatenate(columns) for columns in zip(*shifted, strict=True)))


Make = Callable[[Examples], Callable[[NDArray[np.float32]], NDArray[np.float64]]]
"""Learns from examples, and gives what tells the probabilities for signals."""


def held_out(learned: Examples, asked: Examples, make: Make) -> tuple[Examples, NDArray[np.float64]]:
    """The rows of `asked` of unseen users at later times, and what models of `learned` that had seen neither
    say of them; both are of one log."""
    moments = np.unique(asked.tau_ms)
    border_ms = int(moments[int(len(moments) * EARLIER)])
    seen = learned.tau_ms + SPAN_MS <= border_ms
    later = asked.tau_ms >= border_ms
    probability = np.full(len(later), np.nan)
    for both in folds(np.concatenate([learned.user, asked.user]), HELD_OUT_FOLDS):
        unseen, theirs = both[: len(seen)], later & both[len(seen) :]
        probability[theirs] = make(learned.where(seen & ~unseen))(asked.signals[theirs])
    return asked.where(later), probability[later]


def figures(rows: Examples, probability: NDArray[np.float64], model: Model, draws: int) -> dict[str, Any]:
    """The figures of both tasks."""
    masks = {"broad": np.ones(len(rows.user), dtype=np.bool_), "hard": rows.is_hard}
    found = {}
    for task, mask in masks.items():
        of_task = Binary(
            rows.churned[mask],
            probability[mask],
            threshold=THRESHOLD,
            balanced_threshold=model.calibration.balanced_threshold[task],
        )
        found[task] = of_task.figures(rows.user[mask], draws) | {"n": int(mask.sum())}
    return found


def make_model(examples: Examples) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """The recipe that is shipped."""
    return fit(examples, NAMES).probability


def _beside(others: Sequence[Examples]) -> Make:
    """Makes the model of what it is given and of `others`."""
    return lambda examples: make_model(together([examples, *others]))


def train(
    paths: Sequence[Path], folder: Path, *, answers: Path | None = None, draws: int, report: Report
) -> dict[str, Any]:
    """Makes the model of the logs in `paths`, writes it to `folder` with its metrics, and returns these.

    With `answers` it foresees these instead of silence.

    Raises:
        InputError: a log cannot be read, is too short or has too many holes.
    """
    parts = {}
    asked = None if answers is None else read_answers(answers)
    logs = {path.stem: read_log(path) for path in paths}
    for name, log in logs.items():
        report(f"signals of {name}")
        parts[name] = examples_of(log, asked, every_days=LEARN_EVERY_DAYS)
    everything = together(list(parts.values()))
    report(f"the model, of {len(everything.user):,} rows")
    model = fit(everything, NAMES)
    save(folder, model)
    held: dict[str, Any] = {}
    for name, part in parts.items():
        report(f"held-out users and time of {name}")
        make = _beside([other for other in parts.values() if other is not part])
        rows, probability = held_out(part, examples_of(logs[name], asked), make)
        held[name] = figures(rows, probability, model, draws)
    first = next(iter(held.values()))
    metrics = {
        "data": {
            "fingerprint": everything.fingerprint,
            "rows": len(everything.user),
            "users": len(np.unique(everything.user)),
            "from_ms": int(everything.tau_ms.min()),
            "until_ms": int(everything.tau_ms.max()),
        },
        "held_out": held,
        "surrogate": _surrogate(folder, everything, model),
        "promotion": {f"auc_{task}": first[task]["auc"]["value"] for task in ("hard", "broad")},
    }
    question = SILENCE if answers is None else f"is among those who left, by {answers.name}"
    risk_card.write(folder, metrics, model.calibration, model.booster.num_trees(), question)
    return metrics


def _surrogate(folder: Path, examples: Examples, model: Model) -> Mapping[str, float]:
    """Fits the small tree to the model, and says how like it is on users that it was not fitted to."""
    unseen = next(folds(examples.user, HELD_OUT_FOLDS))
    probability = model.probability(examples.signals)
    small = Surrogate(examples.signals[~unseen], probability[~unseen])
    small.save(folder, NAMES)
    return small.fidelity(examples.signals[unseen], probability[unseen], THRESHOLD)
