"""Texts with the sentiment that people gave them, as files spell it."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inference.ngrams import normal
from schemas.errors import InputError

CLASSES = ("negative", "neutral", "positive")
"""What a text is said to be; a class is an index into this."""
TEST_PERCENT = 10
"""Of all texts, kept from every training for the figures of the model's card."""
_TEXTS = ("text", "review")
_SATISFACTION = "satisfaction_mean"
_NEUTRAL = 1
_WORDS = {"negative": 0, "neg": 0, "neutral": 1, "neu": 1, "positive": 2, "pos": 2}
_NUMBERS = ({0: 0, 1: 2}, {-1: 0, 0: 1, 1: 2}, {0: 0, 1: 1, 2: 2})
"""The first that has all of a file's numbers: bad and good, or a scale with its middle."""


class Labelled(NamedTuple):
    """The texts of one file.

    `rows` are their places in the file, `classes` what each is, and `spelling` how the file writes each class
    that it knows: negative, positive, and neutral where it says so.
    """

    texts: list[str]
    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    spelling: dict[int, Any]


def read(path: Path) -> Labelled:
    """The labelled texts of a Parquet file: `label`, and `text` or `review`.

    Labels are negative, neutral and positive (or neg, neu, pos), or numbers: 0 and 1; -1, 0 and 1; 0, 1
    and 2. A file without labels that has `satisfaction_mean`, a mean of ratings from 1 to 5 as in the user
    satisfaction simulation of Sun et al. (SIGIR 2021), is read by it: below 3 is negative, above 3 positive.
    There, rows without a rating or a text are left out; in all other files each row must have both.

    Raises:
        InputError: no such file, not Parquet, no such columns, no rows, a null, or an unknown label.
    """
    table = _table(path)
    names = table.column_names
    column = next((name for name in _TEXTS if name in names), None)
    if column is None:
        raise InputError(f"{path}: no column `text` or `review`; it has {', '.join(names) or 'none'}")
    if not _is_text(table.schema.field(column).type):
        raise InputError(f"{path}: `{column}` is {table.schema.field(column).type}, not text")
    if "label" not in names and _SATISFACTION in names:
        return _rated(path, table, column)
    if "label" not in names:
        raise InputError(f"{path}: no column `label`; it has {', '.join(names)}")
    if not table.num_rows:
        raise InputError(f"{path}: no rows")
    for name in ("label", column):
        if table[name].null_count:
            row = table[name].is_null().to_pylist().index(True)
            raise InputError(f"{path}: `{name}` is null in {table[name].null_count} rows, first in row {row}")
    labels = table["label"].to_pylist()
    known = _known(path, labels)
    spelling = {known[label]: label for label in sorted(set(labels), key=str)}
    if len(spelling) < len(set(labels)):
        raise InputError(f"{path}: `label` spells one class in two ways: {_shown(set(labels))}")
    for label, is_class in known.items():
        if is_class != _NEUTRAL:
            spelling.setdefault(is_class, label)
    classes = np.array([known[label] for label in labels], dtype=np.int64)
    return Labelled(table[column].to_pylist(), np.arange(len(labels)), classes, spelling)


def class_of(word: str) -> int | None:
    """The class that a word for it names.

    >>> class_of("Positive"), class_of("joy")
    (2, None)
    """
    return _WORDS.get(word.strip().casefold())


def clean(text: str) -> str:
    """A normal text in lower case, as the training sees it."""
    return normal(text).lower()


def key(text: str) -> str:
    """What texts that must stay together share: letters and digits, or the text where it has none.

    >>> key("good, good!") == key("good good")
    True
    """
    return "".join(letter for letter in clean(text) if letter.isalnum()) or text


def hundredth(text: str) -> int:
    """Where a text falls in the split, 0 to 99: by what it says, so that copies of it fall there too."""
    return zlib.crc32(key(text).encode()) % 100


def is_test(text: str) -> bool:
    """Whether the text is kept from the training, for the figures."""
    return hundredth(text) < TEST_PERCENT


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _known(path: Path, labels: Sequence[Any]) -> dict[Any, int]:
    """The class of each label of the file, and of those that its way of spelling has besides."""
    given = set(labels)
    if all(isinstance(label, str) for label in given):
        words = {label: class_of(label) for label in given}
        if None not in words.values():
            return {label: at for label, at in words.items() if at is not None} | {
                name: at for at, name in enumerate(CLASSES) if at not in words.values()
            }
    elif all(isinstance(label, int | float) for label in given):
        for numbers in _NUMBERS:
            if given <= numbers.keys():
                return numbers
    unknown = {label for label in given if class_of(str(label)) is None}
    raise InputError(
        f"{path}: `label` has {_shown(unknown)}; known are negative, neutral, positive, or whole numbers: "
        "0 and 1; -1, 0 and 1; 0, 1 and 2"
    )


def _shown(labels: set[Any]) -> str:
    some = sorted(map(repr, labels))
    return ", ".join(some[:5]) + (", …" if len(some) > 5 else "")


def _rated(path: Path, table: pa.Table, column: str) -> Labelled:
    ratings = np.array(table[_SATISFACTION].to_pylist(), dtype=np.float64)
    texts = table[column].to_pylist()
    rows = np.array(
        [at for at, text in enumerate(texts) if text and not np.isnan(ratings[at])], dtype=np.int64
    )
    if not len(rows):
        raise InputError(f"{path}: no row has both `{_SATISFACTION}` and `{column}`")
    # Means of thirds are not exact.
    classes = np.sign(np.round(ratings[rows] - 3, 6)).astype(np.int64) + 1
    return Labelled([texts[row] for row in rows], rows, classes, dict(enumerate(CLASSES)))
