"""What is committed has gone on, and what a broker did not take is read and sifted again."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from operators.window import PANE_MS
from schemas.codec import encode
from schemas.events import Login, Tick
from schemas.topics import LOGIN, REJECTED, SEQUENCES, SIFTED_LOGIN
from streams.agents import sifter
from streams.agents.sifter import Sifter

T = 1_700_000_000_000
PLACE = TopicPartition(LOGIN.name, 3)


class Row(NamedTuple):
    key: bytes
    value: bytes
    timestamp: int
    offset: int


class Log:
    """One partition that is read `at_once` by `at_once` until its end, where the reader is cancelled."""

    def __init__(self, rows: Sequence[Row], published: list[tuple[str, bytes]], at_once: int) -> None:
        self.rows, self.at_once, self.position = rows, at_once, 0
        self.published = published
        self.committed: list[tuple[int, int]] = []
        """Offset, and how many records had been published then."""

    def subscribe(self, topics: list[str], listener: Sifter) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert place == PLACE
        self.position = offset

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, Sequence[Row]]:
        found = self.rows[self.position : self.position + self.at_once]
        if not found:
            raise asyncio.CancelledError
        self.position += len(found)
        return {PLACE: found}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed.append((offsets[PLACE], len(self.published)))


class Batch:
    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, timestamp: int, key: bytes, value: bytes) -> object:
        assert timestamp == T, "it keeps the time at which the broker had appended it"
        self.values.append(value)
        return self


class Client:
    """Does not take the batches of the calls whose numbers are in `failing`."""

    def __init__(self, published: list[tuple[str, bytes]], failing: Sequence[int] = ()) -> None:
        self.published, self.failing, self.calls = published, failing, 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> asyncio.Future[None]:
        assert partition == PLACE.partition
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.calls in self.failing:
            sent.set_exception(KafkaConnectionError("away"))
        else:
            self.published += [(topic, value) for value in batch.values]
            sent.set_result(None)
        self.calls += 1
        return sent

    async def send(self, topic: str, value: bytes, key: bytes) -> asyncio.Future[None]:
        self.published.append((topic, value))
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


def sifted(values: Sequence[bytes], at_once: int, failing: Sequence[int] = ()) -> tuple[Log, Client]:
    published: list[tuple[str, bytes]] = []
    rows = [
        Row(b"tick" if b'"tick"' in value else b"acme/u1", value, T, offset)
        for offset, value in enumerate(values)
    ]
    log, client = Log(rows, published, at_once), Client(published, failing)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Sifter(log, client).run())
    return log, client


def login(hour: int, number: int = 0) -> bytes:
    ts = T - T % PANE_MS + hour * PANE_MS + number
    return encode(Login(event_id=f"e{hour}-{number}", tenant="acme", user_id="u1", ts=ts - 20 * PANE_MS))


def onward(client: Client) -> list[bytes]:
    return [value for topic, value in client.published if topic == SIFTED_LOGIN.name]


def test_what_passes_keeps_its_order_and_the_rest_becomes_packs_and_dead_letters() -> None:
    tick, bad = encode(Tick(ts=T)), b"no event"
    values = [login(0), login(0, 1), tick, bad, login(5), tick]
    log, client = sifted(values, at_once=4)
    assert onward(client) == [login(0), tick, login(5), tick]
    topics = [topic for topic, _ in client.published]
    assert (topics.count(SEQUENCES.name), topics.count(REJECTED.name)) == (2, 1)
    assert log.committed[-1] == (len(values), len(client.published))


def test_what_the_broker_did_not_take_is_read_again_and_not_taken_for_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sifter, "_RETRY_S", 0.0)
    values = [login(hour, number) for hour in range(6) for number in range(2)]
    log, client = sifted(values, at_once=4, failing=[1, 2])
    assert onward(client) == [login(hour) for hour in range(6)]
    assert log.committed[-1][0] == len(values)


def test_nothing_is_committed_before_it_has_gone_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sifter, "_COMMIT_S", 0.0)
    log, _ = sifted([login(hour) for hour in range(6)], at_once=2)
    # Two logins and a pack a batch.
    assert log.committed[:3] == [(2, 3), (4, 6), (6, 9)]
