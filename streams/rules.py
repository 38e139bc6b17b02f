"""The rules as they stand on their topic.

Each instance that decides has its own copy. That a version holds from an instant of event time on, which its
sender sets some seconds ahead, makes all copies decide alike; how fast they hear of it does not matter then.
The topic keeps every version, so a copy is whole again after a restart.

A copy only ever grows. A record that is no version of the rules is logged and changes nothing, neither for
the versions that are known nor for those that come after it.
"""

import logging
import threading
from collections.abc import Iterable

import msgspec

from schemas.codec import encode
from schemas.errors import InputError
from schemas.policy import RuleBook, Rules
from schemas.topics import RULES
from streams.consumer import Record
from streams.following import Followed, publish_to, read_into, version_in

LEAD_MS = 5_000
"""How far ahead of its sending a version begins to hold, unless somebody says when.

All copies must know it by then. The broker hands it to those that are connected at once. One whose broker was
away is connected again within 4 s of its return: it asks for the topic's end and gives up after as
long, waits, and reads the topic. Decisions come the watermark's bound (1 s) after their event time,
which is left as a reserve for clocks that disagree.
"""

_decoder = msgspec.json.Decoder(Rules)

logger = logging.getLogger(__name__)


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

    @property
    def newest(self) -> str:
        """The version that holds from the latest time on."""
        return self.book.versions[-1].version if self.book.versions else "none"

    @property
    def known(self) -> int:
        """How many versions are known."""
        return len(self.book.versions)

    def take(self, records: Iterable[Record]) -> None:
        """More records of the topic, or the same ones again; of each version the last one holds."""
        before = dict(self._versions)
        for record in records:
            try:
                rules = version_in(record, RULES, _decoder, lambda one: one.version)
            except InputError as error:
                logger.error("%s; it is passed over, and the other versions hold", error)
                continue
            known = before.get(rules.version)
            if known not in (None, rules):
                logger.warning("version %s of the rules was replaced by another content", rules.version)
            self._versions[rules.version] = rules
        if self._versions != before:
            self.book = RuleBook(self._versions.values())


class Following(Followed[Copy]):
    """The rules of a broker's topic, followed for as long as the process lives.

    Raises:
        UnavailableError: the broker does not answer, so nobody knows what is allowed.
        InputError: it has no such topic.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(bootstrap_servers, RULES, Copy())

    @property
    def book(self) -> RuleBook:
        """The rules as they were a moment ago."""
        return self.copy.book


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
    return read_into(bootstrap_servers, RULES, Copy()).book


def publish_rules(bootstrap_servers: str, rules: Iterable[Rules]) -> None:
    """Put versions on the topic, each in place of the one of its name, and wait until they are there.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    publish_to(bootstrap_servers, RULES, {one.version: encode(one) for one in rules})
