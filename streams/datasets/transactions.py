"""Transactions and service records of a fintech, as CSV or JSONL, as events.

Columns: `tenant, id, customer, time, type, status`, and for service records `text` and, if known, `lang`. A
row of the type `login` is a login and one of `service` a message to customer service; any other is use of
the feature of that name, such as `transfer` or `identity_check`; `status` says if it succeeded. `time`
is an ISO date and time, UTC where it states no zone. Amounts and whatever else there is are not read.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from schemas.codec import encode, parse
from schemas.errors import InputError, RejectedEvent
from schemas.events import Event, Login, Support, Usage

NAME = "transactions"
COLUMNS = ("tenant", "id", "customer", "time", "type", "status")
OK = ("ok", "approved", "completed", "settled", "success")
FAILED = ("error", "declined", "failed", "rejected")


def read_transactions(path: Path) -> Iterator[bytes]:
    """The events of `path` in the order of their time, as JSON.

    Raises:
        InputError: the file cannot be read, or a column is missing or has a value that cannot become an
            event; the text names column, row and problem.
    """
    try:
        events = [_event(path, number, row) for number, row in _rows(path)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return map(encode, sorted(events, key=lambda event: (event.ts, event.event_id)))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with its number, from 1 on."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            rows = csv.DictReader(file)
            for name in COLUMNS:
                if name not in (rows.fieldnames or ()):
                    raise InputError(f"{path} has no column {name}: expected {', '.join(COLUMNS)}")
            yield from enumerate(rows, 1)
            return
        for number, line in enumerate(filter(str.strip, file), 1):
            try:
                yield number, msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise InputError(f"row {number} of {path} is no JSON object: {error}") from None


def _event(path: Path, number: int, row: dict[str, Any]) -> Event:
    def fail(name: str, expected: str) -> InputError:
        value = row.get(name)
        found = "is empty" if value in (None, "") else f"has {value!r}"
        return InputError(f"column {name} of {path} {found} in row {number}, expected {expected}")

    for name in COLUMNS:
        if not isinstance(row.get(name), str) or not row[name]:
            raise fail(name, "text")
    try:
        time = datetime.fromisoformat(row["time"])
    except ValueError:
        raise fail("time", "an ISO date and time such as 2026-01-31T09:30:00+08:00") from None
    if row["status"] not in (*OK, *FAILED):
        raise fail("status", f"one of {', '.join((*OK, *FAILED))}")
    ts = round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    who = {"event_id": row["id"], "tenant": row["tenant"], "user_id": row["customer"], "ts": ts}
    event: Event
    if row["type"] == "login":
        event = Login(**who)
    elif row["type"] == "service":
        if not row.get("text"):
            raise fail("text", "what the customer wrote, since the type is service")
        event = Support(**who, text=row["text"], lang=row.get("lang") or "en")
    else:
        event = Usage(**who, feature=row["type"], outcome="ok" if row["status"] in OK else "error")
    try:
        parse(encode(event))
    except RejectedEvent as error:
        names = {"event_id": "id", "user_id": "customer", "ts": "time", "feature": "type"}
        raise fail(names.get(error.field, error.field), f"a value that fits: {error.reason}") from None
    return event
