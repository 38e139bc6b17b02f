"""The rules as they stand on their topic: read whole, and followed while the process lives.

Each instance that decides has its own copy. That a version holds from an instant of event time on, which its
sender sets some seconds ahead, makes all copies decide alike; how fast they hear of it does not matter then.
The topic keeps every version, so a copy is whole again after a restart.

A copy only ever grows. A record that is no version of the rules is logged and changes nothing, neither for
the versions that are known nor for those that come after it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.codec import encode
from schemas.errors import HoldfastError, InputError, UnavailableError
from schemas.policy import RuleBook, Rules
from schemas.topics import RULES
from streams.consumer import Reader, Record, reading

LEAD_MS = 5_000
"""How far ahead of its sending a version begins to hold, unless somebody says when.

All copies must know it by then. The broker hands it to those that are connected at once. One whose broker was
away is connected again within 4 s of its return: it asks for the topic's end and gives up after `_ASK_S`,
waits `_RETRY_S`, and reads the topic. Decisions come the watermark's bound (1 s) after their event time,
which is left as a reserve for clocks that disagree.
"""

_WAIT_MS = 500
_ASK_S = 2.0
"""A broker that is away shows in no poll, so it is asked for the topic's end as often as this, and has as
long to answer.
"""
_RETRY_S = 1.0
SILENT_S = 30.0
"""Whoever has not been certain of the rules for so long says so."""
_PUBLISH_S = 30.0
_decoder = msgspec.json.Decoder(Rules)

logger = logging.getLogger(__name__)

Watcher = Callable[[int, int], None]
"""Told when (epoch ms) it was certain that nothing newer is on the topic, and how many versions are known."""


class Copy:
    """The versions that were read so far; `book` has them in their order.

    >>> copy = Copy()
    >>> record = Record(partition=0, offset=0, append_ms=0, key=b"v1", value=b'{"version": "v1"}')
    >>> copy.take([record])
    >>> [rules.version for rules in copy.book.versions]
    ['v1']
    """

    def __init__(self) -> None:
        self.book = RuleBook()
        self._versions: dict[str, Rules] = {}

    def take(self, records: Iterable[Record]) -> None:
        """More records of the topic, or the same ones again; of each version the last one holds."""
        before = dict(self._versions)
        for record in records:
            try:
                rules = _version(record)
            except InputError as error:
                logger.error("%s; it is passed over, and the other versions hold", error)
                continue
            known = before.get(rules.version)
            if known not in (None, rules):
                logger.warning("version %s of the rules was replaced by another content", rules.version)
            self._versions[rules.version] = rules
        if self._versions != before:
            self.book = RuleBook(self._versions.values())


class Following:
    """The rules of a broker's topic, followed in a thread for as long as the process lives.

    Raises:
        UnavailableError: the broker does not answer, so nobody knows what is allowed.
        InputError: it has no such topic.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._copy = Copy()
        self._heard_s = self._told_s = time.monotonic()
        self._closed = threading.Event()
        self._watchers: set[Watcher] = set()
        with reading(bootstrap_servers, RULES) as reader:
            self._read(reader)
        threading.Thread(target=self._follow, name="rules", daemon=True).start()

    @property
    def book(self) -> RuleBook:
        """The rules as they were a moment ago. If that is long ago, the log says so, again and again.

        Decisions go on all the same: they come from and go to the same brokers, and a version that was
        known holds until another one is.
        """
        now_s = time.monotonic()
        if now_s - max(self._heard_s, self._told_s) > SILENT_S:
            self._told_s = now_s
            newest = self._copy.book.versions[-1].version if self._copy.book.versions else "none"
            logger.error(
                "nothing was heard of the rules for %.0f s: these may be old ones, the newest being %s",
                self.silent_s,
                newest,
            )
        return self._copy.book

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
                with reading(self._servers, RULES, max_wait_ms=_WAIT_MS) as reader:
                    self._read(reader)
                    while not self._closed.is_set():
                        self._copy.take(reader.poll(_WAIT_MS))
                        if self.silent_s >= _ASK_S:
                            reader.ends(within_ms=round(_ASK_S * 1000))
                            self._read(reader)
            except HoldfastError as error:
                logger.warning("the rules are those of before: %s", error)
            except (
                Exception
            ):  # whatever it was: a thread that ends would leave the rules as they are for ever
                logger.exception("the rules are those of before")
            self._closed.wait(_RETRY_S)

    def _read(self, reader: Reader) -> None:
        """All up to the end of the topic, which only a broker that is there can tell."""
        self._copy.take(reader.present())
        self._heard_s = time.monotonic()
        for watcher in self._watchers:
            watcher(int(time.time() * 1000), len(self._copy.book.versions))


_followed: dict[str, Following] = {}
_following = threading.Lock()


def following(bootstrap_servers: str) -> Following:
    """The one copy of this process: instances of an operator share it."""
    with _following:
        if bootstrap_servers not in _followed:
            _followed[bootstrap_servers] = Following(bootstrap_servers)
        return _followed[bootstrap_servers]


def read_rules(bootstrap_servers: str) -> RuleBook:
    """The rules that are on the topic now.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    copy = Copy()
    with reading(bootstrap_servers, RULES) as reader:
        copy.take(reader.present())
    return copy.book


def publish_rules(bootstrap_servers: str, rules: Iterable[Rules]) -> None:
    """Put versions on the topic, each in place of the one of its name, and wait until they are there.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    with reading(bootstrap_servers, RULES, from_beginning=False):
        pass  # the topic is there: a producer might create it, as one that is not compacted
    try:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers.split(","), acks="all", max_request_size=RULES.max_bytes
        )
        try:
            sent = [producer.send(RULES.name, encode(one), one.version.encode()) for one in rules]
            for each in sent:
                each.get(timeout=_PUBLISH_S)
        finally:
            producer.close()
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not take the rules: {error}") from error


def _version(record: Record) -> Rules:
    """The version that a record holds.

    Raises:
        InputError: it holds none.
    """
    where = f"topic {RULES.name}, offset {record.offset}, key {record.key!r}:"
    if record.value is None:
        raise InputError(f"{where} a version cannot be deleted: decisions were made under it")
    try:
        rules = _decoder.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where} no version of the rules: {error}") from error
    if record.key != rules.version.encode():
        raise InputError(f"{where} not the key of version {rules.version}, so it would not be kept")
    return rules
