"""The rules as they stand on their topic: read whole, and followed while the process lives.

Each instance that decides has its own copy. That a version holds from an instant of event time on, which its
sender sets some seconds ahead, makes all copies decide alike; how fast they hear of it does not matter then.
The topic keeps every version, so a copy is whole again after a restart.
"""

import logging
import threading
from collections.abc import Iterable
from functools import cache
from typing import NoReturn

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.codec import encode
from schemas.errors import InputError, UnavailableError
from schemas.policy import RuleBook, Rules
from schemas.topics import RULES
from streams.consumer import Reader, reading

_WAIT_MS = 500
_RETRY_S = 1.0
_PUBLISH_S = 30.0
_decoder = msgspec.json.Decoder(Rules)

logger = logging.getLogger(__name__)


class Following:
    """The rules of a broker's topic; `book` is what they were a moment ago.

    Raises:
        UnavailableError: the broker does not answer, so nobody knows what is allowed.
        InputError: it has no such topic, or what lies there is no version of the rules.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self.book = read_rules(bootstrap_servers)
        threading.Thread(target=self._follow_for_ever, name="rules", daemon=True).start()

    def _follow_for_ever(self) -> NoReturn:
        """Through every outage of the broker. What comes twice is the same version."""
        while True:
            try:
                with reading(self._servers, RULES) as reader:
                    found: list[bytes] = []
                    while True:
                        found += _values(reader, _WAIT_MS)
                        self.book = _book(found, self.book)
            except (InputError, UnavailableError) as error:
                logger.warning("the rules are those of before: %s", error)
                threading.Event().wait(_RETRY_S)


@cache
def following(bootstrap_servers: str) -> Following:
    """The one copy of this process: instances of an operator share it."""
    return Following(bootstrap_servers)


def read_rules(bootstrap_servers: str) -> RuleBook:
    """The rules that are on the topic now.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic, or what lies there is no version of the rules.
    """
    with reading(bootstrap_servers, RULES) as reader:
        return _book([record.value for record in reader.present() if record.value is not None], RuleBook())


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


def _values(reader: Reader, wait_ms: int) -> list[bytes]:
    return [record.value for record in reader.poll(wait_ms) if record.value is not None]


def _book(values: list[bytes], before: RuleBook) -> RuleBook:
    """All versions, of each its last record; `before` where nothing has changed."""
    try:
        versions = {rules.version: rules for rules in map(_decoder.decode, values)}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"topic {RULES.name} holds a record that is no version of the rules: {error}"
        ) from error
    after = RuleBook(versions.values())
    return before if after.versions == before.versions else after
