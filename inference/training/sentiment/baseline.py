"""Logistic regression over TF-IDF: what the network must beat, and what it is blended with."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from inference.labelled import CLASSES
from inference.ngrams import checksum, grams
from inference.training.sentiment.data import Part

STRENGTHS = (0.3, 3.0, 10.0, 30.0)
"""Inverse regularisation; the best on the validation part is taken."""
_MIN_TEXTS = 2
_MAX_STEPS = 100
_NEVER = -20.0
"""Log-odds of a class that a regression has not seen."""

Pieces = Callable[[str], Iterator[str]]


class Baseline:
    """A fitted vectorizer and regression."""

    def __init__(self, train: Part, strength: float, vectorizer: TfidfVectorizer) -> None:
        self.strength = strength
        self._vectorizer = vectorizer
        self._regression = LogisticRegression(C=strength, max_iter=_MAX_STEPS, tol=1e-5)
        with warnings.catch_warnings():
            # With little regularisation the last steps move weights that decide nothing.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._regression.fit(self._vectorizer.transform(train.texts), train.classes)

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-odds of all classes, shape [n, 3]."""
        _, _, weights, bias = self.arrays()
        columns = self._vectorizer.transform(texts)
        found: NDArray[np.float64] = columns @ weights + bias
        return found

    def arrays(self) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The pieces, their idf [n] and weights [n, 3], and the bias [3]."""
        seen, weights, bias = (
            self._regression.classes_,
            self._regression.coef_.T,
            self._regression.intercept_,
        )
        if len(seen) == 2:  # of two classes the regression weighs the second against the first
            weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
        all_weights = np.zeros((len(weights), len(CLASSES)))
        all_weights[:, seen] = weights
        all_bias = np.full(len(CLASSES), _NEVER)
        all_bias[seen] = bias
        return list(self._vectorizer.get_feature_names_out()), self._vectorizer.idf_, all_weights, all_bias


def tuned(train: Part, valid: Part, pieces: Pieces = grams) -> Baseline:
    """The baseline whose strength is the most accurate on `valid`, over n-grams that two texts have."""
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: list(pieces(text)), min_df=_MIN_TEXTS, sublinear_tf=True, dtype=np.float32
    ).fit(train.texts)
    tried = [Baseline(train, strength, vectorizer) for strength in STRENGTHS]
    return max(tried, key=lambda one: accuracy_score(valid.classes, one.logits(valid.texts).argmax(1)))


def save(languages: Sequence[Baseline], shares: Sequence[float], path: Path) -> None:
    """Writes the regressions of the rest and of Chinese, and their say, for `inference.ngrams`."""
    parts = [language.arrays() for language in languages]
    names = np.array([checksum(piece) for words, *_ in parts for piece in words], dtype=np.uint32)
    # Where two of four billion names meet, the first keeps it.
    names, first = np.unique(names, return_index=True)
    np.savez_compressed(
        path,
        checksums=names,
        idf=np.concatenate([idf for _, idf, _, _ in parts])[first].astype(np.float16),
        weights=np.concatenate([weights for _, _, weights, _ in parts])[first].astype(np.float16),
        bias=np.stack([bias for *_, bias in parts]),
        share=np.array(shares, dtype=np.float64),
    )
