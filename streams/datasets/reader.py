"""Reads a file of events, whatever its format, as JSON records one after the other.

- JSONL: each line, its bytes untouched. One that does not fit is for the dead-letter topic.
- Parquet with the columns `event_id, tenant, user_id, ts, kind`: each row is an event, each column a
  field, and null is absent.
- Parquet with the columns of a known dataset: what `streams.datasets.adapters` says of it.
- CSV, or JSONL where the dataset `transactions` is named: what `streams.datasets.transactions` says of it.

The events of the first two come in the order of the file, those of a dataset in that of their time.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.codec import encode
from schemas.errors import InputError
from streams.datasets.adapters import CHAT_COLUMNS, DATASETS, Columns, Dataset, chat
from streams.datasets.transactions import NAME, read_transactions

EVENT_COLUMNS = ("event_id", "tenant", "user_id", "ts", "kind")
_PARQUET_MAGIC = b"PAR1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def read_events(path: Path, dataset: str | None = None) -> Iterator[bytes]:
    """The events of `path` as JSON; `dataset` names the adapter where the columns leave it open.

    The file is opened and its columns are looked at before this returns.

    Raises:
        InputError: the file cannot be read, or has neither the columns of events nor a dataset's. While
            reading: a column has a value that cannot become an event.
    """
    if dataset == NAME or (dataset is None and path.suffix == ".csv"):
        return read_transactions(path)
    if _is_parquet(path):
        return _parquet(path, dataset)
    if path.suffix == ".parquet":
        raise InputError(f"{path} is not a Parquet file: it does not begin with {_PARQUET_MAGIC.decode()}")
    if dataset is not None:
        raise InputError(f"{path} is not a Parquet file, and the dataset {dataset} is read from Parquet only")
    return _lines(path)


def read_columns(path: Path) -> Columns | None:
    """The log of a chat in `path` as columns, which say the same as its events; None of another file.

    Raises:
        InputError: the file cannot be read, or a column has a value that cannot become an event.
    """
    if not _is_parquet(path):
        return None
    try:
        file = pq.ParquetFile(path)
        return chat(path, file) if set(file.schema_arrow.names).issuperset(CHAT_COLUMNS) else None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                record = line.removesuffix(b"\n")
                if record.strip():
                    yield record
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _parquet(path: Path, dataset: str | None) -> Iterator[bytes]:
    try:
        file = pq.ParquetFile(path)
        columns = set(file.schema_arrow.names)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if dataset is None and columns.issuperset(EVENT_COLUMNS):
        return _translated(path, _rows(path, file))
    adapter = _adapter(path, columns, dataset)
    return _translated(path, map(encode, adapter.events(path, file)))


def _adapter(path: Path, columns: set[str], dataset: str | None) -> Dataset:
    """The adapter asked for, or else the one whose columns are there."""
    if dataset is not None:
        if dataset not in DATASETS:
            raise InputError(f"unknown dataset {dataset}, expected one of {', '.join((*DATASETS, NAME))}")
        missing = [name for name in DATASETS[dataset].columns if name not in columns]
        if missing:
            raise InputError(f"{path} has no column {missing[0]}, which the dataset {dataset} needs")
        return DATASETS[dataset]
    for adapter in DATASETS.values():
        if columns.issuperset(adapter.columns):
            return adapter
    missing = [name for name in EVENT_COLUMNS if name not in columns]
    known = "; ".join(f"{name}: {', '.join(adapter.columns)}" for name, adapter in DATASETS.items())
    raise InputError(
        f"{path} has no column {', '.join(missing)}: expected those of events, or of a dataset ({known})"
    )


def _rows(path: Path, file: pq.ParquetFile) -> Iterator[bytes]:
    """Each row as an event; what is wrong with it is found out where events are accepted."""
    number = 0
    for batch in file.iter_batches():
        for row in batch.to_pylist():
            number += 1
            fields = {name: _field(value) for name, value in row.items() if value is not None}
            try:
                yield encode(fields)
            except (TypeError, ValueError, msgspec.MsgspecError) as error:
                raise InputError(f"row {number} of {path} cannot be written as JSON: {error}") from error


def _field(value: Any) -> Any:
    """Times as events spell them, in epoch ms; those that state no zone are UTC."""
    if not isinstance(value, datetime):
        return value
    return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // _MS


def _translated(path: Path, records: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from records
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}") from error
