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
from streams.risk.log import Log, signals_at
from streams.risk.protocol import Cutoffs, Sample, Task, cutoffs, sample

THRESHOLD = 0.5
"""From which probability on a user is told to leave, unless the tenant says otherwise."""


class Scored(NamedTuple):
    """A log's users at its weekly cut-offs, with their probabilities."""

    users: NDArray[np.object_]
    cutoffs: Cutoffs
    sample: Sample
    probability: NDArray[np.float64]


def score(model: Risk, log: Log, task: Task, lead_h: int) -> Scored:
    """What `model` says of the users that `task` asks for, `lead_h` hours ahead.

    Raises:
        InputError: the log is too short or has too many holes, or nobody in it is asked for.
    """
    found = cutoffs(log)
    chosen = sample(log, found.tau_ms, lead_h).of(task)
    if not len(chosen.tau_ms):
        raise InputError(f"the log has nobody to judge: no user is active enough for the task {task}")
    return Scored(log.users, found, chosen, model.probability(signals_at(log, chosen.cuts)))


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
        "cutoffs": len(scored.cutoffs.tau_ms),
        "dropped": scored.cutoffs.dropped_ms.tolist(),
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
