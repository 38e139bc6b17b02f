"""The log that every candidate reads: generated events, the ticks of a replay, and three marks.

A mark is a record that is no event, under a key of each partition of each topic: its dead letter shows that
the candidate has read so far.
"""

from collections.abc import Iterator
from itertools import count

import msgspec
from msgspec import Struct

from schemas.codec import encode
from schemas.events import Event, Replay, Usage
from schemas.topics import EVENT_TOPICS, PARTITIONS
from streams.batch import ExpectedDecision, recompute
from streams.producer import partition_of
from streams.sending import Disorder, Outgoing, outgoing
from streams.traffic import TENANT, Population, populate

WARM, MIDDLE, END = "warm", "middle", "end"
MARKS_EACH = len(EVENT_TOPICS) * PARTITIONS
_WARM_SHARE, _MIDDLE_SHARE = 0.3, 0.65
_LEAD_S, _DECLINES_S = 30, 1_200
BAD_EVERY = 20


class Log(Struct, frozen=True):
    """What is sent, in two parts, and what must come of it.

    The first part is there to be read before anything is measured; `events` counts those of the second.
    """

    population: Population
    until_ms: int
    first: list[Outgoing]
    second: list[Outgoing]
    events: int
    expected: tuple[ExpectedDecision, ...]


def make_log(users: int, per_use: int, now_ms: int, bound_ms: int, seed: int = 1) -> Log:
    """The history of `users` users up to `now_ms` (epoch ms), in which each use comes `per_use` times.

    A half of them decline in the twenty minutes after it, if they stay silent.
    """
    declines_s = [_LEAD_S + _DECLINES_S * number / (users // 2) for number in range(users // 2)]
    population = populate(users, now_ms, seed, declines_s=declines_s)
    values = [encode(event) for event in _often(population.history(), per_use)]
    replay = Replay(until=now_ms)
    records = list(outgoing(values, replay, Disorder(bound_ms=bound_ms)))
    warm, middle = int(len(records) * _WARM_SHARE), int(len(records) * _MIDDLE_SHARE)
    second = [*records[warm:middle], *_marks(MIDDLE), *records[middle:], *_marks(END)]
    return Log(
        population=population,
        until_ms=now_ms,
        first=[*records[:warm], *_marks(WARM)],
        second=second,
        events=sum(record.topic is not None for record in records[warm:]),
        expected=recompute(values, now_ms, replay=replay).decisions,
    )


def _often(events: list[Event], per_use: int) -> Iterator[Event]:
    for event in events:
        yield event
        if isinstance(event, Usage):
            for number in range(1, per_use):
                yield msgspec.structs.replace(event, event_id=f"{event.event_id}-{number}")


def _marks(name: str) -> Iterator[Outgoing]:
    value = encode({"mark": name})
    for topic in EVENT_TOPICS:
        for key in _keys():
            yield Outgoing(0, topic.name, key, value, good=False)


def _keys() -> Iterator[bytes]:
    """A key of each partition."""
    found: dict[int, bytes] = {}
    for key in (f"{TENANT}/mark-{number}".encode() for number in count()):
        found.setdefault(partition_of(key), key)
        if len(found) == PARTITIONS:
            return iter(found.values())
    raise AssertionError("unreachable: the numbers do not end")


def live_values(population: Population, rate_per_s: float, start_ms: int, seconds: float) -> Iterator[bytes]:
    """Live events (JSON), of which every `BAD_EVERY`th has no length of time and must be rejected."""
    for number, event in enumerate(population.live(rate_per_s, start_ms, seconds)):
        if isinstance(event, Usage) and number % BAD_EVERY == BAD_EVERY - 1:
            event = msgspec.structs.replace(event, duration_ms=-1)
        yield encode(event)
