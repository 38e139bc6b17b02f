"""Bytes to records and back: the one place where an event is accepted or rejected."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import msgspec

from schemas.errors import RejectedEvent
from schemas.events import NAME_PATTERN, TENANT_PATTERN, Event, Tick
from schemas.outcome import OutcomeKind, UserOutcome

MAX_EVENT_BYTES = 1_000_000
"""The largest event that is accepted, in bytes of its JSON."""
MAX_AHEAD_MS = 5 * 60_000
MAX_BEHIND_MS = 30 * 86_400_000

_events: msgspec.json.Decoder[Event | Tick] = msgspec.json.Decoder(Event | Tick)
_lists: msgspec.json.Decoder[list[Event | Tick]] = msgspec.json.Decoder(list[Event | Tick])
_outcomes = msgspec.json.Decoder(UserOutcome)
_encoder = msgspec.json.Encoder()
_MAX_NPS, _MAX_NAME = 10, 128
_NAME, _TENANT = re.compile(NAME_PATTERN), re.compile(TENANT_PATTERN)
_Record = TypeVar("_Record")
Judged = Event | Tick | RejectedEvent
"""What a record holds, or why it is rejected."""
_AT = re.compile(r"^(?P<reason>.*?)(?: - at `(?:key in )?\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_IN_WORDS = {
    TENANT_PATTERN: "must be 1 to 64 of the characters A-Z a-z 0-9 _ . -",
    NAME_PATTERN: "must be 1 to 128 printable characters without white space or control characters",
}
_PATTERN = re.compile(r"matching regex '(.*)'$", re.DOTALL)
_MISSING = re.compile(r"missing required field `([^`]+)`")


class Record(Protocol):
    """A record as the client gives it; `timestamp` is when the broker appended it (epoch ms)."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    offset: int


def encode(record: Any) -> bytes:
    """A record as JSON."""
    return _encoder.encode(record)


def accept(key: bytes | None, value: bytes | None, append_ms: int) -> Event | Tick:
    """The event in a record that the broker appended at `append_ms`.

    Raises:
        RejectedEvent: it does not fit its schema, its key is not `tenant/user_id`, or its time is
            more than 5 min ahead of the append or 30 days behind it (not in a replay of history).
    """
    event = parse(value)
    if not isinstance(event, Tick) and key != event.key.encode():
        raise _of_another(key, event.key)
    if event.replay is None and not -MAX_BEHIND_MS <= event.ts - append_ms <= MAX_AHEAD_MS:
        raise _untimely(event.ts - append_ms)
    return event


def judge(records: Sequence[Record]) -> Sequence[Judged]:
    """Of each record what `accept` gives or raises. Where all are fit, in a third of its time."""
    return _all_fit(records) or [_judged(record) for record in records]


def _judged(record: Record) -> Judged:
    try:
        return accept(record.key, record.value, record.timestamp)
    except RejectedEvent as error:
        return error


def _all_fit(records: Sequence[Record]) -> list[Event | Tick] | None:
    """The events of records, None if one is not fit, or if it takes a closer look to tell."""
    values = [record.value or b"" for record in records]
    if not values or max(map(len, values)) > MAX_EVENT_BYTES:
        return None
    lines = b",\n".join(values)
    if not _is_one_object_a_line(lines, len(values)):
        return None
    try:
        if not lines.isascii():
            lines.decode()
        events = _lists.decode(b"[%b]" % lines)
        if len(events) != len(records):
            return None
        owned = [
            (record.key, event)
            for record, event in zip(records, events, strict=True)
            if type(event) is not Tick
        ]
        _check_names([event for _, event in owned])
    except (msgspec.DecodeError, UnicodeDecodeError, RejectedEvent):
        return None
    ahead_ms = [
        event.ts - record.timestamp
        for record, event in zip(records, events, strict=True)
        if event.replay is None
    ]
    if ahead_ms and (min(ahead_ms) < -MAX_BEHIND_MS or max(ahead_ms) > MAX_AHEAD_MS):
        return None
    if [key for key, _ in owned] != [event.key.encode() for _, event in owned]:
        return None
    return events


def _is_one_object_a_line(lines: bytes, count: int) -> bool:
    """Whether `lines` can be a list of `count` objects only if each of them is one.

    A text cannot go on in the next line, nor can an object, in which no `{` may follow a comma. A list could,
    if it were of objects.
    """
    return (
        lines.count(b"\n") == lines.count(b"},\n{") == count - 1
        and lines.startswith(b"{")
        and lines.endswith(b"}")
        and (b"[" not in lines or lines.count(b"{") == count)
    )


def parse(value: bytes | None) -> Event | Tick:
    """The event that `value` spells, whatever its key and time.

    Raises:
        RejectedEvent: it does not fit its schema.
    """
    event = _decoded(_events, value)
    if not isinstance(event, Tick):
        _check_names([event])
    return event


def _check_names(events: Sequence[Event]) -> None:
    names = [event.event_id for event in events] + [event.user_id for event in events]
    text = "".join(names)
    if (
        text.isascii()
        and text.isprintable()
        and " " not in text
        and all(0 < length <= _MAX_NAME for length in {len(name) for name in names})
        and all(map(_is_tenant, {event.tenant for event in events}))
    ):
        return  # nearly all
    for event in events:
        if not _is_tenant(event.tenant):
            raise RejectedEvent("tenant", _IN_WORDS[TENANT_PATTERN])
        for field, name in (("event_id", event.event_id), ("user_id", event.user_id)):
            if _NAME.search(name) is None:
                raise RejectedEvent(field, _IN_WORDS[NAME_PATTERN])


@lru_cache(maxsize=1024)
def _is_tenant(text: str) -> bool:
    return _TENANT.search(text) is not None


def accept_outcome(key: bytes | None, value: bytes | None) -> UserOutcome:
    """The outcome in a record with that key.

    Raises:
        RejectedEvent: it does not fit its schema, or its key is not `tenant/user_id`.
    """
    outcome = parse_outcome(value)
    if key != outcome.key.encode():
        shown = "null" if key is None else repr(key[:200].decode(errors="backslashreplace"))
        raise RejectedEvent("key", f"is {shown}, but the outcome belongs to {outcome.key!r}")
    return outcome


def parse_outcome(value: bytes | None) -> UserOutcome:
    """The outcome that `value` spells.

    Raises:
        RejectedEvent: it does not fit its schema, or its value is none of its kind.
    """
    outcome = _decoded(_outcomes, value)
    if outcome.kind is OutcomeKind.NPS and not 0 <= outcome.value <= _MAX_NPS:
        raise RejectedEvent("value", f"is {outcome.value:g}, a score of nps is from 0 to {_MAX_NPS}")
    return outcome


def _decoded(decoder: msgspec.json.Decoder[_Record], value: bytes | None) -> _Record:
    if value is None:
        raise RejectedEvent("record", "has no value")
    if len(value) > MAX_EVENT_BYTES:
        raise RejectedEvent("record", f"is {len(value)} bytes long, at most {MAX_EVENT_BYTES} allowed")
    try:
        if not value.isascii():
            value.decode()  # msgspec skips fields that it does not know, their encoding included
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise _rejection(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RejectedEvent("record", f"is not JSON in UTF-8: {error}") from None


def _of_another(key: bytes | None, owner: str) -> RejectedEvent:
    if key is None:
        return RejectedEvent("key", "is null, expected tenant/user_id")
    shown = key[:200].decode(errors="backslashreplace")
    return RejectedEvent("key", f"is {shown!r}, but the event belongs to {owner!r}")


def _untimely(ahead_ms: int) -> RejectedEvent:
    if ahead_ms > 0:
        reason = f"is {ahead_ms} ms ahead of the append time, at most {MAX_AHEAD_MS} allowed"
    else:
        reason = f"is {-ahead_ms} ms behind the append time, at most {MAX_BEHIND_MS} allowed"
    return RejectedEvent("ts", reason)


def _rejection(text: str) -> RejectedEvent:
    """msgspec's message, taken apart into field and reason."""
    match = _AT.match(text)
    assert match is not None  # the pattern matches every string
    path, reason = match["path"], match["reason"]
    missing = _MISSING.search(reason)
    if missing is not None:
        return RejectedEvent(".".join(filter(None, (path, missing[1]))), "is missing")
    pattern = _PATTERN.search(reason)
    if pattern is not None:
        reason = _IN_WORDS.get(pattern[1].replace("\\\\", "\\"), reason)
    return RejectedEvent(path or "record", reason)
