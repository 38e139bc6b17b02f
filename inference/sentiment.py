"""What a message says between the lines: negative, neutral or positive, on one thread."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inference.labelled import CLASSES
from inference.ngrams import Ngrams, is_chinese, normal
from schemas.errors import UnavailableError

MODEL = "sentiment"
NETWORK, TOKENIZER, NGRAMS = "model.onnx", "tokenizer.json", "ngrams.npz"
MOST_CHARACTERS, MOST_PIECES = 1_000, 64
"""Of a longer message the rest is not read, and by the network not more than so many pieces: it would take
longer than a message may.
"""
_CHARACTERS_A_PIECE = {True: 3, False: 6}
"""In Chinese, and else. No more than so many are cut into pieces, before those too many are left out."""


class Network:
    """A BERT in ONNX with its tokenizer, from a folder that has both."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        # It stands beside others on few cores, and its matrices are too small for a second thread.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / NETWORK), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        own = self._tokenizer.truncation
        self._tokenizer.enable_truncation(min(MOST_PIECES, own["max_length"] if own else MOST_PIECES))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-odds of the classes for normal texts, shape [n, 3].

        Each text is read by itself: in a batch, the int8 scales of one would depend on the others.
        """
        rows = []
        for text in texts:
            most = MOST_PIECES * _CHARACTERS_A_PIECE[is_chinese(text)]
            ids = np.array([self._tokenizer.encode(text[:most]).ids], dtype=np.int64)
            rows.append(self._session.run(None, {"input_ids": ids})[0][0].astype(np.float64))
        return np.stack(rows)


class Sentiment:
    """The network, the n-grams, or both blended; `version` is the name of their folder."""

    def __init__(self, version: str, network: Network | None, ngrams: Ngrams | None) -> None:
        self.version = version
        self._network = network
        self._ngrams = ngrams

    @classmethod
    def load(cls, folder: Path) -> "Sentiment":
        """The model in `folder`: `model.onnx` with `tokenizer.json`, or `ngrams.npz`, or all of them.

        Raises:
            UnavailableError: there is none, or it cannot be read; the text names the folder.
        """
        there = [(folder / name).is_file() for name in (NETWORK, NGRAMS)]
        if not any(there):
            raise UnavailableError(
                f"no model of sentiment in {folder}: it has neither {NETWORK} nor {NGRAMS}"
            )
        try:
            return cls(
                folder.resolve().name,
                Network(folder) if there[0] else None,
                Ngrams(folder / NGRAMS) if there[1] else None,
            )
        except Exception as error:  # both libraries raise bare Exception for a file that is none of theirs
            reason = str(error).splitlines()[0]
            raise UnavailableError(f"the model of sentiment in {folder} cannot be read: {reason}") from error

    def of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of negative, neutral and positive, shape [n, 3]; rows sum to 1."""
        if not texts:
            return np.empty((0, len(CLASSES)))
        read = [normal(text[:MOST_CHARACTERS]) for text in texts]
        parts = [log_softmax(part.logits(read)) for part in (self._network, self._ngrams) if part is not None]
        found = parts[0]
        if self._ngrams is not None and len(parts) > 1:
            found = blended(parts[0], parts[1], self._ngrams.shares(read))
        probabilities: NDArray[np.float64] = np.exp(found)
        return probabilities


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities from logits, over the last axis."""
    centred = logits - logits.max(axis=-1, keepdims=True)
    found: NDArray[np.float64] = centred - np.log(np.exp(centred).sum(axis=-1, keepdims=True))
    return found


def blended(
    network: NDArray[np.float64], ngrams: NDArray[np.float64], share: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """The weighted geometric mean of two sets of log-probabilities; `share` is the n-grams'."""
    return log_softmax((1 - share) * network + share * ngrams)


def among(probabilities: NDArray[np.float64], classes: Sequence[int]) -> NDArray[np.int64]:
    """The likeliest of `classes` for each row: a file that never says neutral is not told neutral.

    >>> among(np.array([[0.3, 0.5, 0.2]]), [0, 2]).tolist()
    [0]
    """
    allowed = np.array(sorted(classes))
    likeliest: NDArray[np.int64] = allowed[probabilities[:, allowed].argmax(axis=1)]
    return likeliest
