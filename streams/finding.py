"""Finds records by partition and time, so that a look-up need not read a whole topic.

Kafka knows the first offset of each time; a user's records of all topics lie in the partition of one number.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, TopicPartition

from schemas.errors import InputError
from schemas.topics import DAY_MS, Topic
from streams.consumer import Record, consuming, polled

_BACK_MS = (3_600_000, DAY_MS, 30 * DAY_MS)


class Finder:
    """Reads parts of topics. It belongs to no group: nobody's offsets are touched."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    def between(
        self, topic: Topic, since_ms: int, until_ms: int | None = None, partition: int | None = None
    ) -> Iterator[Record]:
        """What was appended to `topic` from `since_ms` to just before `until_ms` (broker's clock, epoch ms).

        Without `until_ms` up to what is the end now; without `partition` of all, each in its order.

        Raises:
            InputError: the broker has no such topic.
        """
        places = self._places(topic, partition)
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(places)
        begins = self._offsets(places, since_ms, ends)
        stops = ends if until_ms is None else self._offsets(places, until_ms, ends)
        left = [place for place in places if begins[place] < stops[place]]
        self._consumer.assign(left)
        for place in left:
            self._consumer.seek(place, begins[place])
        while any(self._consumer.position(place) < stops[place] for place in left):
            for record in polled(self._consumer):
                if record.offset < stops[TopicPartition(topic.name, record.partition)]:
                    yield record

    def newest_first(self, topic: Topic, now_ms: int, partition: int | None = None) -> Iterator[Record]:
        """All of `topic`, the last hour first, then the rest of the last day, of 30 days, and what is older.

        What is looked for is mostly young, and then little is read.
        """
        until_ms: int | None = None
        for since_ms in (*(now_ms - back for back in _BACK_MS), 0):
            yield from self.between(topic, max(0, since_ms), until_ms, partition)
            until_ms = max(0, since_ms)

    def _places(self, topic: Topic, partition: int | None) -> list[TopicPartition]:
        numbers = self._consumer.partitions_for_topic(topic.name)
        if not numbers:
            raise InputError(f"there is no topic {topic.name}: bring the stack up first (holdfast up)")
        wanted = sorted(numbers) if partition is None else [partition]
        return [TopicPartition(topic.name, number) for number in wanted]

    def _offsets(
        self, places: Iterable[TopicPartition], at_ms: int, ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """The first offset of each place appended at `at_ms` or later; its end where there is none."""
        found = self._consumer.offsets_for_times(dict.fromkeys(places, at_ms))
        return {place: ends[place] if one is None else one.offset for place, one in found.items()}


@contextmanager
def finding(bootstrap_servers: str) -> Iterator[Finder]:
    """A finder for the time of the block.

    Raises:
        UnavailableError: the broker does not answer, or stops answering.
    """
    with consuming(bootstrap_servers) as consumer:
        yield Finder(consumer)
