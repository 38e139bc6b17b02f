"""One tenant's mass of work does not starve another's: before it did, and now it costs a turn."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import CROSSINGS
from streams.agents import agent as agents
from streams.agents.agent import Agent, Received, Work
from streams.agents.turns import FairQueue, Turns
from streams.flow import Out
from streams.settings import Settings

CROWD = 200


async def order_of(turns: Turns, asked: list[tuple[str, float]]) -> list[str]:
    """In which order those who ask at once are let in, by name and urgency."""
    found: list[str] = []

    async def take(name: str, urgency: float) -> None:
        async with turns.turn(name, urgency):
            found.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(name, urgency) for name, urgency in asked))
    return found


async def test_a_mass_decline_of_one_tenant_delays_another_s_draft_by_a_turn() -> None:
    crowd = [("noisy", float(number)) for number in range(CROWD)]
    together = await order_of(Turns(1), [*crowd, ("noisy", 1e9)])
    assert len(together) == CROWD + 1, "in one queue the last one waits for all"
    apart = await order_of(Turns(1), [*crowd, ("quiet", 1e9)])
    assert apart.index("quiet") <= 2


async def test_who_gives_up_while_waiting_takes_no_turn() -> None:
    turns, found = Turns(1), list[str]()

    async def take(name: str, seconds: float) -> None:
        async with turns.turn(name):
            found.append(name)
            await asyncio.sleep(seconds)

    first = asyncio.create_task(take("a", 0.01))
    await asyncio.sleep(0)
    gives_up, waits = asyncio.create_task(take("b", 0)), asyncio.create_task(take("c", 0))
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.wait({first, gives_up, waits})
    assert found == ["a", "c"]
    await asyncio.wait_for(take("d", 0), timeout=5)


async def test_who_is_let_in_just_as_it_gives_up_passes_the_turn_on() -> None:
    turns, inside = Turns(1), asyncio.Event()

    async def hold() -> None:
        async with turns.turn("a"):
            await inside.wait()

    async def wait() -> None:
        async with turns.turn("b"):
            raise AssertionError("was cancelled before")

    holds = asyncio.create_task(hold())
    await asyncio.sleep(0)
    waits = asyncio.create_task(wait())
    await asyncio.sleep(0)
    inside.set()
    await holds  # the turn is given to whoever waits …
    waits.cancel()  # … who is told to stop before it runs
    await asyncio.wait({waits})
    async with asyncio.timeout(5):
        async with turns.turn("c"):
            pass


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_between_two_turns_of_a_tenant_that_waits_no_other_has_more_than_two(names: list[str]) -> None:
    queue: FairQueue[str] = FairQueue()
    for name in names:
        queue.put(name, 0, name)
    taken = [queue.take() for _ in names]
    assert sorted(taken) == sorted(names)
    for tenant in set(names):
        places = [-1, *(i for i, name in enumerate(taken) if name == tenant)]
        for before, after in pairwise(places):
            between = taken[before + 1 : after]
            assert all(between.count(other) <= 2 for other in set(between))


def test_of_a_tenant_the_most_urgent_is_first_and_of_equals_the_one_that_came_first() -> None:
    queue: FairQueue[int] = FairQueue()
    for item, urgency in enumerate((5, 1, 5, 0)):
        queue.put("a", urgency, item)
    assert [queue.take() for _ in range(4)] == [3, 1, 0, 2]
    with pytest.raises(IndexError):
        queue.take()


class Records:
    """A topic with the records of a noisy tenant before that of a quiet one."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys

    async def __aiter__(self) -> AsyncIterator[Any]:
        for offset, key in enumerate(self._keys):
            yield SimpleNamespace(
                topic="crossings", partition=0, offset=offset, key=key, value=b"", timestamp=0
            )

    async def commit(self, offsets: object) -> None:
        pass


@asynccontextmanager
async def agent(work: Work, keys: list[bytes]) -> AsyncIterator[Agent]:
    """One that has read all records with those keys, of which two are worked on at once."""
    made = Agent(Settings(), (CROSSINGS,), "test", work, at_once=2)
    await made._consumer.stop()
    made._consumer = Records(keys)
    await made._consume()
    yield made
    await made._producer.stop()


async def test_records_behind_those_of_a_noisy_tenant_are_begun_in_turn() -> None:
    worked: list[bytes] = []

    async def work(received: Received) -> AsyncIterator[Iterable[Out]]:
        worked.append(received.key or b"")
        await asyncio.sleep(0)
        yield []

    async with agent(work, [b"noisy/u"] * CROWD + [b"quiet/u"]) as one:
        while one._tasks:
            await asyncio.sleep(0)
        assert len(worked) == CROWD + 1
        assert worked.index(b"quiet/u") <= 4
        assert list(one._progress.offsets().values()) == [CROWD + 1]


async def test_what_waits_when_partitions_go_is_left_to_whoever_comes_next() -> None:
    begun: list[bytes] = []

    async def work(received: Received) -> AsyncIterator[Iterable[Out]]:
        begun.append(received.key or b"")
        await asyncio.sleep(0.01)
        yield []

    async with agent(work, [b"noisy/u"] * 10) as one:
        await asyncio.sleep(0)
        await one.on_partitions_revoked(list(one._progress.offsets()))
        assert (len(begun), one._tasks, one._progress.offsets()) == (2, set(), {})


async def test_what_takes_too_long_when_partitions_go_is_done_by_whoever_comes_next_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agents, "_FINISH_S", 0.01)
    ended: list[bytes] = []

    async def work(received: Received) -> AsyncIterator[Iterable[Out]]:
        try:
            await asyncio.Event().wait()
            yield []
        finally:
            ended.append(received.key or b"")

    async with agent(work, [b"a/u", b"b/u"]) as one:
        await asyncio.sleep(0)
        (partition,) = one._progress.offsets()
        await one._finish()
        assert (len(ended), one._tasks) == (2, set())
        assert one._progress.offsets() == {partition: 0}, "nothing of it is committed"
