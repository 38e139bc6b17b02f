"""The language model's estimate of churn beside LightGBM's on the same rows, and what a blend is worth.

LightGBM is trained here, on the questions for training, with all the features that the sentences are made of;
both are judged on the questions for the test: users and times that neither has seen. The blend is the mean of
the two log odds, which was settled before any of it was measured.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.binary import Binary
from inference.estimate import YES
from inference.intervals import bootstrap
from operators.features import Features
from streams.questions import Question

_COLUMNS = tuple(
    one.name for one in msgspec.structs.fields(Features) if one.name not in ("favourite_feature", "seats")
)
_FLOOR = 1e-6

Vector = NDArray[np.float64]


def compared(rows: list[Question], estimate: Callable[[str], float]) -> dict[str, Any]:
    """AUC and average precision of each on the test questions of both tasks, with 95 % over users.

    `gain` is the blend's AUC less LightGBM's, on the same draws of users.
    """
    test = [one for one in rows if one.is_test]
    model = np.array([estimate(one.text) for one in test])
    trees = _trees([one for one in rows if not one.is_test], test)
    blend = 1 / (1 + np.exp(-(_log_odds(model) + _log_odds(trees)) / 2))
    hard = np.array([one.is_hard for one in test])
    return {
        task: _judged([test[at] for at in np.flatnonzero(of)], model[of], trees[of], blend[of])
        for task, of in (("broad", np.ones(len(test), dtype=bool)), ("hard", hard))
    }


def _judged(rows: list[Question], model: Vector, trees: Vector, blend: Vector) -> dict[str, Any]:
    truth = np.array([one.answer == YES for one in rows], dtype=float)
    users = np.array([one.user for one in rows])
    found: dict[str, Any] = {"n": len(rows), "users": len(set(users.tolist())), "rate": float(truth.mean())}
    for name, guess in (("language_model", model), ("lightgbm", trees), ("blend", blend)):
        judged = Binary(truth, guess)
        found[name] = {
            "auc": _with_ci(judged.auc, users),
            "average_precision": _with_ci(judged.pr_auc, users),
        }
    of_blend, of_trees = Binary(truth, blend), Binary(truth, trees)
    found["gain"] = _with_ci(lambda weights: of_blend.auc(weights) - of_trees.auc(weights), users)
    return found


def _with_ci(figure: Callable[[Vector], float], users: NDArray[Any]) -> dict[str, Any]:
    low, high = bootstrap(figure, users, draws=300)
    return {"value": figure(np.ones(len(users))), "ci": [low, high]}


def _trees(train: list[Question], test: list[Question]) -> Vector:
    import lightgbm  # takes seconds to import

    model = lightgbm.LGBMClassifier(
        n_estimators=200,
        learning_rate=0.03,
        num_leaves=31,
        min_child_samples=50,
        n_jobs=1,
        verbose=-1,
        seed=7,
    )
    model.fit(_matrix(train), np.array([one.answer == YES for one in train]))
    return np.asarray(model.predict_proba(_matrix(test)), dtype=np.float64)[:, 1].copy()


def _matrix(rows: list[Question]) -> Vector:
    return np.array(
        [[float(getattr(one.features, name) or 0) for name in _COLUMNS] for one in rows], dtype=np.float64
    )


def _log_odds(probability: Vector) -> Vector:
    known = np.clip(probability, _FLOOR, 1 - _FLOOR)
    return np.asarray(np.log(known / (1 - known)))
