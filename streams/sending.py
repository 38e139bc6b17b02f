"""What is sent of a file of events, and in what order: pure, before any broker is asked.

A record is on its way at a *moment*, a time on the scale of event time: its own `ts`, or up to the
watermark bound later for one that is shuffled or repeated. Whatever is still to come has a `ts` that is not
more than the bound behind the moment, so that no event of a replay is ever late.
"""

import heapq
import random
from collections.abc import Iterable, Iterator
from itertools import count

import msgspec
from msgspec import Struct

from schemas.codec import encode, parse
from schemas.errors import InputError, RejectedEvent
from schemas.events import LAST_TS_MS, Replay, Tick
from schemas.topics import MAX_RECORD_BYTES, TOPIC_OF_KIND, USAGE

TICK_EVERY = 2000
"""Records of a replay between two ticks: what Flink must hold back until all topics have come so far."""
_OVERHEAD_BYTES = 1024  # what a batch of one record adds to it, generously


class Outgoing(Struct, frozen=True):
    """A record to send, or with `topic` None a tick for every partition of the events' topics."""

    moment: float
    topic: str | None
    key: bytes | None
    value: bytes
    good: bool = True
    """Whether it is an event, as far as its schema tells."""


class Disorder(Struct, frozen=True, kw_only=True):
    """How a file is sent worse than it is: repeats (a share of all), and order within the bound."""

    duplicates: float = 0.0
    shuffle: bool = False
    seed: int = 0
    bound_ms: int = 0


class Span(Struct, frozen=True):
    """What must be known of a file before it is sent: how many records, until when, and whether in order."""

    records: int
    last_ms: int | None
    in_order: bool


def span(values: Iterable[bytes], until_ms: int | None = None) -> Span:
    """Look a file through, as far as `until_ms`."""
    records, last, in_order = 0, -1, True
    for value in values:
        ts = _time(value)
        if ts is not None and until_ms is not None and ts > until_ms:
            continue
        records += 1
        if ts is not None:
            in_order = in_order and ts >= last
            last = max(last, ts)
    return Span(records, None if last < 0 else last, in_order)


def in_order(values: Iterable[bytes]) -> list[bytes]:
    """`values` by their `ts`; one without stays behind the one that it followed."""
    last = 0
    timed: list[tuple[int, bytes]] = []
    for value in values:
        ts = _time(value)
        last = last if ts is None else ts
        timed.append((last, value))
    return [value for _, value in sorted(timed, key=lambda pair: pair[0])]


def outgoing(
    values: Iterable[bytes], replay: Replay | None = None, disorder: Disorder | None = None
) -> Iterator[Outgoing]:
    """The records for `values` (JSON), with `replay`'s mark where there is one, and with its ticks.

    What does not fit its schema goes out untouched, for the dead-letter topic to show. A replay leaves out
    the events after its end; ticks are left out, since each sender gives its own.

    >>> event = b'{"kind":"login","event_id":"e1","tenant":"acme","user_id":"u1","ts":7}'
    >>> for record in outgoing([event, b"no event"], Replay(until=10), Disorder(bound_ms=1000)):
    ...     print(record.topic, record.key, record.value[-38:].decode())
    events.login b'acme/u1' "replay":{"until":10,"compose":false}}
    events.usage None no event
    None None "replay":{"until":10,"compose":false}}
    """
    disorder = disorder or Disorder()
    records = _disordered(_records(values, replay), disorder)
    if replay is None:
        yield from records
        return
    if replay.until > LAST_TS_MS - disorder.bound_ms:
        raise InputError(f"a replay cannot end at {replay.until}: that is beyond the year 9999")
    moment = 0.0
    for number, record in enumerate(records, 1):
        yield record
        moment = max(moment, record.moment)
        if number % TICK_EVERY == 0:
            yield _tick(int(moment), replay)
    yield _tick(replay.until + disorder.bound_ms, replay)


def _records(values: Iterable[bytes], replay: Replay | None) -> Iterator[Outgoing]:
    # The last of two equal names counts, so a mark at the end replaces one that the event had.
    mark = b"" if replay is None else b',"replay":' + encode(replay) + b"}"
    moment = 0
    for value in values:
        try:
            event = parse(value)
        except RejectedEvent:
            yield _bad(moment, value)
            continue
        if isinstance(event, Tick) or (replay is not None and event.ts > replay.until):
            continue
        moment = event.ts
        marked = value.rstrip()[:-1] + mark if mark else value
        yield Outgoing(moment, TOPIC_OF_KIND[_kind(event)].name, event.key.encode(), marked)


def _disordered(records: Iterable[Outgoing], disorder: Disorder) -> Iterator[Outgoing]:
    if not disorder.shuffle and not disorder.duplicates:
        yield from records
        return
    dice, number = random.Random(disorder.seed), count()
    waiting: list[tuple[float, int, Outgoing]] = []

    def put(record: Outgoing, late: bool) -> None:
        moment = record.moment + (dice.random() * disorder.bound_ms if late else 0)
        moved = msgspec.structs.replace(record, moment=moment)
        heapq.heappush(waiting, (moment, next(number), moved))

    for record in records:
        put(record, late=disorder.shuffle)
        if record.good and dice.random() < disorder.duplicates:
            put(record, late=True)
        while waiting and waiting[0][0] <= record.moment:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _tick(ts: int, replay: Replay) -> Outgoing:
    return Outgoing(ts, None, None, encode(Tick(ts=ts, replay=replay)))


def _kind(event: Struct) -> str:
    return str(event.__struct_config__.tag)


def _bad(moment: int, value: bytes) -> Outgoing:
    """A record that is no event: to the topic that its kind suggests, with the key that can be made of it."""
    if len(value) > MAX_RECORD_BYTES - _OVERHEAD_BYTES:
        raise InputError(
            f"a record of {len(value)} bytes, beginning {value[:40]!r}, is too large for any topic: "
            f"at most {MAX_RECORD_BYTES - _OVERHEAD_BYTES} bytes can be sent"
        )
    topic, key = USAGE, None
    try:
        fields = msgspec.json.decode(value)
        if isinstance(fields, dict):
            kind, tenant, user_id = (fields.get(name) for name in ("kind", "tenant", "user_id"))
            if isinstance(kind, str):
                topic = TOPIC_OF_KIND.get(kind, USAGE)
            if isinstance(tenant, str) and isinstance(user_id, str):
                key = f"{tenant}/{user_id}".encode()
    except (msgspec.DecodeError, UnicodeError):
        pass  # not JSON, or a lone surrogate: it has no kind and no key
    if key is None and topic.compacted:
        topic = USAGE  # the other takes no record without a key
    return Outgoing(moment, topic.name, key, value, good=False)


class _Timed(Struct):
    ts: int


_timed = msgspec.json.Decoder(_Timed)


def _time(value: bytes) -> int | None:
    """The `ts` that `value` states, whatever else is wrong with it."""
    try:
        return _timed.decode(value).ts
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
