"""The texts that the sentiment model is made from, and which of them it never sees before it is measured."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inference.labelled import TEST_PERCENT, clean, hundredth, read

VALID_PERCENT = 4
"""Of the texts, for the choices that are made on the way."""


class Part(NamedTuple):
    """Some texts of one file, normal, with their classes."""

    texts: list[str]
    classes: NDArray[np.int64]


class Source(NamedTuple):
    """One file, split; `unlabelled` are its texts without a label, `sha256` and `rows` tell what it was."""

    name: str
    train: Part
    valid: Part
    test: Part
    unlabelled: list[str]
    sha256: str
    rows: int


def load(paths: Sequence[Path]) -> list[Source]:
    """The files, split.

    Raises:
        InputError: a file cannot be read as labelled texts.
    """
    return [_source(path) for path in paths]


def _source(path: Path) -> Source:
    found = read(path)
    texts = [clean(text) for text in found.texts]
    places = np.array([hundredth(text) for text in found.texts])
    valid = TEST_PERCENT + VALID_PERCENT

    def part(chosen: NDArray[np.bool_]) -> Part:
        return Part([texts[at] for at in np.flatnonzero(chosen)], found.classes[chosen])

    return Source(
        path.stem,
        part(places >= valid),
        part((places >= TEST_PERCENT) & (places < valid)),
        part(places < TEST_PERCENT),
        _unlabelled(path, found.rows),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        pq.read_metadata(path).num_rows,
    )


def _unlabelled(path: Path, labelled: NDArray[np.int64]) -> list[str]:
    table = pq.read_table(path)
    if table.num_rows == len(labelled):
        return []
    column = "text" if "text" in table.column_names else "review"
    known = set(labelled.tolist())
    others = (text for row, text in enumerate(table[column].to_pylist()) if row not in known and text)
    return [clean(text) for text in others if hundredth(text) >= TEST_PERCENT + VALID_PERCENT]
