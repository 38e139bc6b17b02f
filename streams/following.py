"""A compacted topic of one partition, read whole and followed while the process lives.

What is on it is kept for ever, so a copy is whole again after a restart.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.errors import HoldfastError, InputError, UnavailableError
from schemas.topics import Topic
from streams.consumer import Reader, Record, reading

_WAIT_MS = 500
_ASK_S = 2.0
"""A broker that is away shows in no poll, so it is asked for the topic's end as often as this, and has as
long to answer.
"""
_RETRY_S = 1.0
SILENT_S = 30.0
"""Whoever has not been certain of what is on the topic for so long says so."""
_PUBLISH_S = 30.0

logger = logging.getLogger(__name__)

Watcher = Callable[[int, int], None]
"""Told when (epoch ms) it was certain that nothing newer is on the topic, and how many versions are known."""


class Copy(Protocol):
    """What is made of the records of a topic."""

    @property
    def newest(self) -> str:
        """What came last, in a word, for the log."""
        ...

    @property
    def known(self) -> int:
        """How many versions are known."""
        ...

    def take(self, records: Iterable[Record]) -> None:
        """More records of the topic, or the same ones again. What is no good is logged, no more."""
        ...


Made = TypeVar("Made", bound=Copy)
Version = TypeVar("Version")


class Followed(Generic[Made]):
    """The `topic` of a broker, followed in a thread for as long as the process lives, into `copy`.

    Raises:
        UnavailableError: the broker does not answer, so nobody knows what holds.
        InputError: it has no such topic.
    """

    def __init__(self, bootstrap_servers: str, topic: Topic, copy: Made) -> None:
        self._servers, self._topic, self._copy = bootstrap_servers, topic, copy
        self._heard_s = self._told_s = time.monotonic()
        self._closed = threading.Event()
        self._watchers: set[Watcher] = set()
        with reading(bootstrap_servers, topic) as reader:
            self._read(reader)
        threading.Thread(target=self._follow, name=topic.name, daemon=True).start()

    @property
    def copy(self) -> Made:
        """The copy as it was a moment ago. If that is long ago, the log says so, again and again.

        Work goes on all the same: it comes from and goes to the same brokers, and what was known holds until
        something else does.
        """
        now_s = time.monotonic()
        if now_s - max(self._heard_s, self._told_s) > SILENT_S:
            self._told_s = now_s
            logger.error(
                "nothing was heard of the %s for %.0f s: these may be old ones, the newest being %s",
                self._topic.name,
                self.silent_s,
                self._copy.newest,
            )
        return self._copy

    @property
    def silent_s(self) -> float:
        """How long ago (s) it was certain that nothing newer is on the topic."""
        return time.monotonic() - self._heard_s

    def watch(self, watcher: Watcher) -> None:
        """Have `watcher` called each time it is certain, every 2 s or so, from the thread that follows."""
        self._watchers = {*self._watchers, watcher}

    def unwatch(self, watcher: Watcher) -> None:
        """Call it no more."""
        self._watchers = self._watchers - {watcher}

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()

    def _follow(self) -> None:
        """Through every outage of the broker, from the topic's beginning after each."""
        while not self._closed.is_set():
            try:
                with reading(self._servers, self._topic, max_wait_ms=_WAIT_MS) as reader:
                    self._read(reader)
                    while not self._closed.is_set():
                        self._copy.take(reader.poll(_WAIT_MS))
                        if self.silent_s >= _ASK_S:
                            reader.ends(within_ms=round(_ASK_S * 1000))
                            self._read(reader)
            except HoldfastError as error:
                logger.warning("the %s are those of before: %s", self._topic.name, error)
            except Exception:  # whatever it was: a thread that ends would leave the copy as it is for ever
                logger.exception("the %s are those of before", self._topic.name)
            self._closed.wait(_RETRY_S)

    def _read(self, reader: Reader) -> None:
        """All up to the end of the topic, which only a broker that is there can tell."""
        self._copy.take(reader.present())
        self._heard_s = time.monotonic()
        for watcher in self._watchers:
            watcher(int(time.time() * 1000), self._copy.known)


def read_into(bootstrap_servers: str, topic: Topic, copy: Made) -> Made:
    """`copy` with all that is on the topic now.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    with reading(bootstrap_servers, topic) as reader:
        copy.take(reader.present())
    return copy


def version_in(
    record: Record, topic: Topic, decoder: msgspec.json.Decoder[Version], key_of: Callable[[Version], str]
) -> Version:
    """The version that a record of `topic` holds, whose key is to be that of `key_of`.

    Raises:
        InputError: it holds none.
    """
    where = f"topic {topic.name}, offset {record.offset}, key {record.key!r}:"
    if record.value is None:
        raise InputError(f"{where} a version cannot be deleted: records name it")
    try:
        version = decoder.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where} no version of the {topic.name}: {error}") from error
    if record.key != key_of(version).encode():
        raise InputError(f"{where} not the key of {key_of(version)}, so it would not be kept")
    return version


def publish_to(bootstrap_servers: str, topic: Topic, records: Mapping[str, bytes]) -> None:
    """Put records on the topic by their keys, each in place of the one of its key, and wait for all of them.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    with reading(bootstrap_servers, topic, from_beginning=False):
        pass  # the topic is there: a producer might create it, as one that is not compacted
    try:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers.split(","), acks="all", max_request_size=topic.max_bytes
        )
        try:
            sent = [producer.send(topic.name, value, key.encode()) for key, value in records.items()]
            for each in sent:
                each.get(timeout=_PUBLISH_S)
        finally:
            producer.close()
    except (KafkaError, OSError) as error:
        raise UnavailableError(
            f"Kafka at {bootstrap_servers} does not take the {topic.name}: {error}"
        ) from error
