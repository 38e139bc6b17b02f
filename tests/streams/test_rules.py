"""The copy of the rules that decides: it outlives bad records, outages and silence, and says so."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from schemas.codec import encode
from schemas.errors import UnavailableError
from schemas.policy import Rules
from streams import following
from streams.consumer import Record
from streams.rules import Copy, Following

V1, V2 = Rules(version="v1"), Rules(version="v2", since=10)


def record(rules: Rules, offset: int = 0) -> Record:
    return Record(partition=0, offset=offset, append_ms=0, key=rules.version.encode(), value=encode(rules))


def versions(copy: Copy | Following) -> list[str]:
    return [rules.version for rules in copy.book.versions]


class Broker:
    """The topic, as `reading` gives it; `is_there` turns the broker on and off."""

    def __init__(self, *records: Record) -> None:
        self.records = list(records)
        self.is_there = True
        self.opened = 0

    @contextmanager
    def reading(self, *_: object, **__: object) -> Iterator[Any]:
        self.opened += 1
        self._ask()
        yield _Reader(self)

    def _ask(self) -> None:
        if not self.is_there:
            raise UnavailableError("no broker")


class _Reader:
    def __init__(self, broker: Broker) -> None:
        self._broker, self._at = broker, 0

    def present(self) -> Iterator[Record]:
        self._broker._ask()
        yield from self.poll(0)

    def ends(self, within_ms: int) -> None:
        self._broker._ask()

    def poll(self, wait_ms: int) -> list[Record]:
        """A broker that is away shows in no poll, as with the real client."""
        time.sleep(wait_ms / 1000)
        found = self._broker.records[self._at :] if self._broker.is_there else []
        self._at += len(found)
        return found


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker(record(V1))
    monkeypatch.setattr(following, "reading", broker.reading)
    for name, value in {"_WAIT_MS": 1, "_ASK_S": 0.01, "_RETRY_S": 0.01, "SILENT_S": 0.05}.items():
        monkeypatch.setattr(following, name, value)
    return broker


@pytest.fixture
def follow(broker: Broker) -> Iterator[Callable[[], Following]]:
    """Begins to follow, until the test ends."""
    begun: list[Following] = []

    def begin() -> Following:
        begun.append(Following("broker"))
        return begun[-1]

    yield begin
    for followed in begun:
        followed.close()


def wait_until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end_s, "it never comes true"
        time.sleep(0.005)


@pytest.mark.parametrize(
    "bad",
    [
        Record(partition=0, offset=7, append_ms=0, key=b"v1", value=b"?"),
        Record(partition=0, offset=7, append_ms=0, key=b"v1", value=b'{"version": "v1", "since": -1}'),
        Record(partition=0, offset=7, append_ms=0, key=b"v1", value=b'{"version": "v1", "caps": []}'),
        Record(partition=0, offset=7, append_ms=0, key=b"v1", value=b'{"version": "v3"}'),
        Record(partition=0, offset=7, append_ms=0, key=b"v1", value=b"\xff"),
        Record(partition=0, offset=7, append_ms=0, key=b"v1", value=None),
    ],
    ids=["no JSON", "a field out of range", "an unknown field", "another key", "no UTF-8", "a deletion"],
)
def test_a_bad_record_is_logged_and_the_versions_before_and_after_it_hold(
    bad: Record, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Copy()
    copy.take([record(V1), bad, record(V2)])
    assert copy.book.versions == (V1, V2)
    assert "offset 7" in caplog.text and "passed over" in caplog.text


def test_nothing_new_leaves_the_very_same_book() -> None:
    copy = Copy()
    copy.take([record(V1)])
    before = copy.book
    copy.take([])
    copy.take([record(V1)])
    assert copy.book is before


def test_a_version_whose_content_was_replaced_is_the_last_one_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    copy = Copy()
    copy.take([record(V1)])
    copy.take([record(msgspec.structs.replace(V1, since=5))])
    assert [rules.since for rules in copy.book.versions] == [5]
    assert "v1" in caplog.text


def test_an_empty_topic_holds_no_rules_until_the_first_version_comes(
    broker: Broker, follow: Callable[[], Following]
) -> None:
    broker.records.clear()
    followed = follow()
    assert versions(followed) == []
    broker.records.append(record(V2))
    wait_until(lambda: versions(followed) == ["v2"])


def test_an_outage_keeps_the_rules_and_what_was_sent_after_it_is_heard(
    broker: Broker, follow: Callable[[], Following], caplog: pytest.LogCaptureFixture
) -> None:
    followed = follow()
    broker.is_there = False
    opened = broker.opened
    wait_until(lambda: broker.opened > opened + 2)
    assert versions(followed) == ["v1"]
    broker.records.append(record(V2))
    broker.is_there = True
    wait_until(lambda: versions(followed) == ["v1", "v2"])
    assert "the rules are those of before: no broker" in caplog.text


def test_who_decides_by_rules_that_may_be_old_says_so_in_the_log(
    broker: Broker, follow: Callable[[], Following], caplog: pytest.LogCaptureFixture
) -> None:
    followed = follow()
    broker.is_there = False
    wait_until(lambda: followed.silent_s > 0.06)
    assert versions(followed) == ["v1"]
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert len(told) == 1 and "nothing was heard of the rules" in told[0] and "v1" in told[0]


def test_who_watches_is_told_while_it_is_certain_and_no_longer_when_it_is_not(
    broker: Broker, follow: Callable[[], Following]
) -> None:
    followed, told = follow(), list[tuple[int, int]]()

    def watcher(heard_ms: int, versions: int) -> None:
        told.append((heard_ms, versions))

    followed.watch(watcher)
    broker.records.append(record(V2))
    wait_until(lambda: bool(told) and told[-1][1] == 2)
    assert abs(told[-1][0] - time.time() * 1000) < 1000
    broker.is_there = False
    opened = broker.opened
    wait_until(lambda: broker.opened > opened + 1)
    before = len(told)
    wait_until(lambda: broker.opened > opened + 3)
    assert len(told) == before
    followed.unwatch(watcher)
    broker.is_there = True
    wait_until(lambda: followed.silent_s < 0.05)
    assert len(told) == before


def test_a_fault_that_nobody_foresaw_does_not_end_the_following(
    broker: Broker, follow: Callable[[], Following], monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = follow()
    take, calls = Copy.take, []

    def fails_once(copy: Copy, records: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        take(copy, records)

    monkeypatch.setattr(Copy, "take", fails_once)
    broker.records.append(record(V2))
    wait_until(lambda: versions(followed) == ["v1", "v2"])


def test_an_instance_that_cannot_learn_what_is_allowed_does_not_start(broker: Broker) -> None:
    broker.is_there = False
    with pytest.raises(UnavailableError):
        Following("broker")
