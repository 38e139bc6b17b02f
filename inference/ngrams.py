"""A linear model over character and word n-grams: what a text says, word for word, without their order.

Served from plain arrays: an n-gram is known by its checksum, so that no vocabulary needs to be kept.
"""

import math
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN_THERE = re.compile(f"[{_HAN}]")
_SPACED_HAN = re.compile(rf"(?<=[{_HAN}]) +(?=[{_HAN}])")
_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")
_RUNS, _CHARACTERS = (1, 2, 3), range(2, 6)
"""How long the runs of characters are: of a Chinese text, and of a word."""
_REMARK = 30
_PUNCTUATION = re.compile(r"[,。.!?、;:~…]")


def normal(text: str) -> str:
    """A text as the models read it: one form of each character, no spaces between Han characters.

    So what a segmenter has cut into words reads as it was written.

    >>> normal("这个  价格 太贵 了 ， ＯＫ？ Not OK")
    '这个价格太贵了 , OK? Not OK'
    """
    return _SPACED_HAN.sub("", " ".join(unicodedata.normalize("NFKC", text).split()))


def is_chinese(text: str) -> bool:
    """Whether a text has Chinese in it: it is then read by characters, else by words."""
    return bool(_HAN_THERE.search(text))


def grams(text: str) -> Iterator[str]:
    """The n-grams of a normal text, in lower case: 1 to 3 characters where there is Chinese, else words,
    pairs of words, and 2 to 5 characters of a word and its borders.

    >>> list(grams("不好"))
    ['不', '好', '不好']
    >>> list(grams("No!"))[:4]
    ['=no', '=!', '=no !', '- n']
    """
    text = text.lower()
    if is_chinese(text):
        for size in _RUNS:
            yield from (text[at : at + size] for at in range(len(text) - size + 1))
        return
    words = _WORD.findall(text)
    yield from (f"={word}" for word in words)
    yield from (f"={first} {second}" for first, second in pairwise(words))
    for word in words:
        bordered = f" {word} "
        for size in _CHARACTERS:
            yield from (f"-{bordered[at : at + size]}" for at in range(len(bordered) - size + 1))


def pieces(text: str) -> Iterator[str]:
    """The n-grams, and in Chinese each a second time, marked as one of a remark or of a longer text.

    A word may tell something else in an aside than in a review. So it has a weight that all texts share, and
    one for its kind: Daumé, Frustratingly Easy Domain Adaptation (ACL 2007), the domain seen from the text.
    """
    found = list(grams(text))
    yield from found
    if is_chinese(text):
        mark = _mark(text)
        yield from (mark + gram for gram in found)


def checksum(piece: str) -> int:
    """The name of an n-gram, 32 bits."""
    return zlib.crc32(piece.encode())


def checksums(text: str) -> Iterator[int]:
    """The names of a text's `pieces`, in their order.

    In Chinese for a fifth of the time: none is spelt out, the checksum of each goes on from that of the one a
    character shorter.

    >>> list(checksums("不好!")) == [checksum(piece) for piece in pieces("不好!")]
    True
    """
    if not is_chinese(text):
        return map(checksum, pieces(text))
    letters = [letter.encode() for letter in text.lower()]
    return chain(_runs(letters, ""), _runs(letters, _mark(text)))


def _mark(text: str) -> str:
    """The kind of a Chinese text: a remark or a longer one."""
    return "~" if len(text) <= _REMARK and not _PUNCTUATION.search(text) else "|"


def _runs(letters: list[bytes], mark: str) -> Iterator[int]:
    """The checksums of `mark` and a run of `letters`, for all runs of each size."""
    found = [checksum(mark)] * len(letters)
    for size in _RUNS:
        found = list(map(zlib.crc32, letters[size - 1 :], found))
        yield from found


class Ngrams:
    """Logistic regression over TF-IDF (sublinear, of length 1), one for Chinese and one for the rest.

    From the arrays of one file: `checksums` are sorted, shape [n]; `idf` [n] and `weights` [n, 3] belong to
    them. `bias` [2, 3] and `share` [2], their say in a blend, are of the rest and of Chinese.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self._checksums = arrays["checksums"]
            # In half precision, as in the file: the fewer bytes, the more often they are in the cache.
            self._idf = arrays["idf"]
            self._weights = arrays["weights"]
            self._bias: NDArray[np.float64] = arrays["bias"]
            self._share: NDArray[np.float64] = arrays["share"]

    def shares(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """What they have to say in a blend on each text, 0 to 1, shape [n, 1]."""
        return self._share[[int(is_chinese(text)) for text in texts], None]

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-odds of the classes for normal texts, shape [n, 3]."""
        return np.array([self._one(text) for text in texts])

    def _one(self, text: str) -> NDArray[np.float64]:
        bias: NDArray[np.float64] = self._bias[int(is_chinese(text))]
        names, often = np.unique(np.fromiter(checksums(text), dtype=np.uint32), return_counts=True)
        if not len(names):
            return bias
        places = np.minimum(np.searchsorted(self._checksums, names), len(self._checksums) - 1)
        known = self._checksums[places] == names
        if not known.any():
            return bias
        values = (1 + np.log(often[known])) * self._idf[places[known]]
        weights = self._weights[places[known]].astype(np.float64)
        found: NDArray[np.float64] = values @ weights / math.sqrt(values @ values)
        return found + bias
