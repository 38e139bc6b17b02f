"""The churn model on a whole log: who is judged when, how likely each is to leave, and how right that was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inference.binary import Binary
from inference.risk import Risk
from schemas.errors import InputError
from streams.datasets import Answers
from streams.risk.log import Log, signals_at
from streams.risk.protocol import Sample, Task, judged

THRESHOLD = 0.5
"""From which probability on a user is told to leave, unless the tenant says otherwise."""


class Scored(NamedTuple):
    """A log's users at its cut-offs, with their probabilities."""

    users: NDArray[np.object_]
    dropped_ms: NDArray[np.int64]
    sample: Sample
    probability: NDArray[np.float64]


def score(model: Risk, log: Log, task: Task, lead_h: int, answers: Answers | None = None) -> Scored:
    """What `model` says of the users that `task` asks for, `lead_h` hours ahead.

    Who left is said by `answers`, else by silence.

    Raises:
        InputError: the log is too short or has too many holes, or nobody in it is asked for.
    """
    everyone, dropped_ms = judged(log, answers, lead_h)
    chosen = everyone.of(task)
    if not len(chosen.tau_ms):
        raise InputError(f"the log has nobody to judge: no user is active enough for the task {task}")
    return Scored(log.users, dropped_ms, chosen, model.probability(signals_at(log, chosen.cuts)))


def figures(scored: Scored, balanced_threshold: float, draws: int = 1000) -> dict[str, Any]:
    """Every figure with its interval, users drawn, and what it is a figure of."""
    chosen = scored.sample
    judged = Binary(
        chosen.churned, scored.probability, threshold=THRESHOLD, balanced_threshold=balanced_threshold
    )
    return {
        **judged.figures(chosen.cuts.user, draws),
        "n": len(chosen.tau_ms),
        "users": len(np.unique(chosen.cuts.user)),
        "cutoffs": len(np.unique(chosen.tau_ms)),
        "dropped": scored.dropped_ms.tolist(),
    }


def write_predictions(path: Path, scored: Scored) -> None:
    """A row for each user and `tau` (epoch ms) to the Parquet file `path`.

    Raises:
        InputError: it cannot be written.
    """
    columns: Mapping[str, Any] = {
        "user": pa.array(scored.users[scored.sample.cuts.user].astype(object)),
        "tau": pa.array(scored.sample.tau_ms),
        "probability": pa.array(scored.probability),
    }
    try:
        pq.write_table(pa.table(columns), path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
