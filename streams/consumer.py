"""Reads a topic: what is on it, and then what comes."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from msgspec import Struct

from schemas.errors import InputError, UnavailableError
from schemas.topics import Topic
from streams.topics import knock

_CONNECT_MS = 10_000
_POLL_MS = 100
_POLL_RECORDS = 5000
_FETCH_MS = 20


class Record(Struct, frozen=True):
    """A record and the broker's append time (epoch ms)."""

    partition: int
    offset: int
    append_ms: int
    key: bytes | None
    value: bytes | None


def polled(consumer: KafkaConsumer, wait_ms: int = _POLL_MS) -> list[Record]:
    """What has come to `consumer`, each partition in its order; empty when nothing comes within `wait_ms`."""
    found = consumer.poll(timeout_ms=wait_ms, max_records=_POLL_RECORDS)
    return [
        Record(record.partition, record.offset, record.timestamp, record.key, record.value)
        for records in found.values()
        for record in records
    ]


class Reader:
    """A topic read from its beginning or from now on, without a group: nobody's offsets are touched."""

    def __init__(self, consumer: KafkaConsumer, topic: Topic, from_beginning: bool) -> None:
        self._consumer = consumer
        numbers = consumer.partitions_for_topic(topic.name)
        if not numbers:
            raise InputError(f"there is no topic {topic.name}: bring the stack up first (holdfast up)")
        self._places = [TopicPartition(topic.name, number) for number in sorted(numbers)]
        consumer.assign(self._places)
        seek = consumer.seek_to_beginning if from_beginning else consumer.seek_to_end
        seek(*self._places)
        for place in self._places:
            consumer.position(place)  # resolves the seek now: what is written from here on is seen

    def rewind(self, since_ms: int) -> None:
        """Go on with what was appended at `since_ms` (epoch ms) or later; what is at the end stays there."""
        for place, found in self._consumer.offsets_for_times(dict.fromkeys(self._places, since_ms)).items():
            if found is not None:
                self._consumer.seek(place, found.offset)

    def poll(self, wait_ms: int = _POLL_MS) -> list[Record]:
        """What has come, each partition in its order; empty when nothing comes within `wait_ms`."""
        return polled(self._consumer, wait_ms)

    def present(self) -> Iterator[Record]:
        """Everything up to what is the end now."""
        ends = self.ends()
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            yield from self.poll()

    def ends(self, within_ms: int | None = None) -> dict[TopicPartition, int]:
        """The offset at which each partition ends; the broker has `within_ms` to say so, or 30 s."""
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(self._places, within_ms)
        return ends

    def size(self) -> int:
        """How many records the topic holds, from its first to its last."""
        begins = self._consumer.beginning_offsets(self._places)
        return sum(end - int(begins[place]) for place, end in self.ends().items())


@contextmanager
def reading(
    bootstrap_servers: str, topic: Topic, from_beginning: bool = True, max_wait_ms: int = _FETCH_MS
) -> Iterator[Reader]:
    """A reader of `topic` for the time of the block.

    Where nothing comes, the broker is asked every `max_wait_ms` whether something has; what comes meanwhile
    is handed over at once.

    Raises:
        UnavailableError: the broker does not answer, or stops answering.
        InputError: it has no such topic.
    """
    with consuming(bootstrap_servers, max_wait_ms) as consumer:
        yield Reader(consumer, topic, from_beginning)


@contextmanager
def consuming(bootstrap_servers: str, max_wait_ms: int = _FETCH_MS) -> Iterator[KafkaConsumer]:
    """A consumer of no group for the time of the block; `max_wait_ms` as for `reading`.

    Raises:
        UnavailableError: the broker does not answer, or stops answering.
    """
    knock(bootstrap_servers)
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers.split(","),
            enable_auto_commit=False,
            bootstrap_timeout_ms=_CONNECT_MS,
            fetch_max_wait_ms=max_wait_ms,
        )
        try:
            yield consumer
        finally:
            consumer.close()
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {error}") from error
