"""Logistic regression over TF-IDF: what the network must beat, and what it is blended with."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from inference.labelled import CLASSES
from inference.ngrams import checksum, pieces
from inference.training.sentiment.data import Part

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Inverse regularisation; the best on the valid part is taken."""
_MIN_TEXTS = 2
_MAX_STEPS = 300


class Baseline:
    """A fitted vectorizer and regression."""

    def __init__(self, train: Part, strength: float, vectorizer: TfidfVectorizer | None = None) -> None:
        self.strength = strength
        self._vectorizer = vectorizer or vectorizer_of(train.texts)
        self._regression = LogisticRegression(C=strength, max_iter=_MAX_STEPS, tol=1e-5)
        with warnings.catch_warnings():
            # With little regularisation the last steps move weights that decide nothing.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._regression.fit(self._vectorizer.transform(train.texts), train.classes)

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-probabilities of all classes, shape [n, 3]; of one that it never saw, -inf."""
        found = np.full((len(texts), len(CLASSES)), -np.inf)
        found[:, self._regression.classes_] = self._regression.predict_log_proba(
            self._vectorizer.transform(texts)
        )
        return found

    def save(self, path: Path, share: float) -> None:
        """As `inference.ngrams` reads it; it must have seen all classes. `share` is its say in the blend."""
        words: dict[str, int] = self._vectorizer.vocabulary_
        names = np.array([checksum(word) for word in words], dtype=np.uint32)
        columns = np.fromiter(words.values(), dtype=np.int64)
        # Two n-grams in four billion names: the first keeps it.
        names, first = np.unique(names, return_index=True)
        columns = columns[first]
        np.savez_compressed(
            path,
            checksums=names,
            idf=self._vectorizer.idf_[columns].astype(np.float16),
            weights=self._regression.coef_.T[columns].astype(np.float16),
            bias=self._regression.intercept_,
            share=np.float64(share),
        )


def vectorizer_of(texts: Sequence[str]) -> TfidfVectorizer:
    """TF-IDF over the n-grams that at least two texts have."""
    return TfidfVectorizer(
        analyzer=lambda text: list(pieces(text)), min_df=_MIN_TEXTS, sublinear_tf=True, dtype=np.float32
    ).fit(texts)


def tuned(train: Part, valid: Part, strengths: Sequence[float] = STRENGTHS) -> Baseline:
    """The baseline whose strength is the most accurate on `valid`."""
    vectorizer = vectorizer_of(train.texts)
    tried = [Baseline(train, strength, vectorizer) for strength in strengths]
    return max(tried, key=lambda one: accuracy_score(valid.classes, one.logits(valid.texts).argmax(1)))
