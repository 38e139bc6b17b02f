"""What Redis holds after writes, repeats and ticks, asked of a real redis-server."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.errors import UnavailableError
from schemas.events import Account, Event, Login, Replay, Support, Usage
from schemas.topics import LOGIN
from streams import store
from streams.sieve import Sieve
from streams.store import DAY_MS, KEEP_MS, MAX_EVENTS, SequenceWriter, User, UserStore

pytestmark = pytest.mark.real

T = 1_700_000_000_000
Answer = TypeVar("Answer")


class RedisServer:
    """A redis-server of the tests' own, that can be killed and started again, empty."""

    def __init__(self, directory: Path) -> None:
        self.url = f"unix://{directory}/redis.sock"
        self._command = [
            shutil.which("redis-server") or "redis-server",
            *("--port", "0", "--unixsocket", f"{directory}/redis.sock", "--dir", str(directory)),
            *("--save", "", "--appendonly", "no"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url)
        for _ in range(500):
            try:
                client.ping()
                break
            except redis.RedisError:
                time.sleep(0.01)
        client.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def raw(server: RedisServer) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def writer(server: RedisServer, raw: redis.Redis) -> Iterator[SequenceWriter]:
    writer = SequenceWriter(server.url)
    yield writer
    writer.close()


def login(name: str, ts: int, user: str = "u1") -> Login:
    return Login(event_id=name, tenant="acme", user_id=user, ts=ts)


def account(name: str, ts: int, plan: str) -> Account:
    return Account(event_id=name, tenant="acme", user_id="u1", ts=ts, plan=plan)


class Row(NamedTuple):
    """A record as the client gives it."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    offset: int = 0


def put(writer: SequenceWriter, *events: Event, partition: int = 0) -> None:
    """Writes the events as they come out of the sieve."""
    rows = [Row(event.key.encode(), encode(event), event.ts) for event in events]
    for pack in Sieve().sift([(LOGIN.name, partition, rows)]).packs:
        writer.write(pack)


def ids(raw: redis.Redis) -> list[str]:
    """The ids of the user's events in Redis, in their order there."""
    found = raw.lrange("events:acme/u1", 0, -1)
    assert isinstance(found, list)
    return [json.loads(element)["event_id"] for element in found]


def asked(server: RedisServer, question: Callable[[UserStore], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        store = UserStore(server.url, timeout_s=5)
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(ask())


def user_of(server: RedisServer, key: str, as_of_ms: int) -> User:
    return asked(server, lambda store: store.user(key, as_of_ms))


def read(server: RedisServer, key: str, as_of_ms: int) -> list[Event]:
    return asked(server, lambda store: store.read(key, as_of_ms))


def test_events_come_back_as_they_were_in_the_order_of_their_times(
    writer: SequenceWriter, server: RedisServer
) -> None:
    events: list[Event] = [
        Usage(event_id="e2", tenant="acme", user_id="u/🙂", ts=T + 2, feature="export", duration_ms=1200),
        Login(event_id="e1", tenant="acme", user_id="u/🙂", ts=T + 1, action="logout"),
        Support(event_id="e3", tenant="acme", user_id="u/🙂", ts=T + 3, text='"导出"\n坏了', lang="zh"),
    ]
    put(writer, *events, partition=3)
    assert read(server, "acme/u/🙂", T + 3) == [events[1], events[0], events[2]]


def test_an_element_is_readable_json_without_what_the_key_says(
    writer: SequenceWriter, raw: redis.Redis
) -> None:
    event = Login(event_id="e1", tenant="acme", user_id="u1", ts=T, replay=Replay(until=T))
    words = '"tenant":"acme","user_id":"u1",\n"replay":null,'
    put(writer, event, Support(event_id="e2", tenant="acme", user_id="u1", ts=T, text=words))
    found = raw.lrange("events:acme/u1", 0, -1)
    assert isinstance(found, list)
    assert found[0] == b'{"kind":"login","event_id":"e1","ts":%d,"channel":"web","action":"login"}' % T
    assert json.loads(found[1]) == {"kind": "support", "event_id": "e2", "ts": T, "text": words, "lang": "en"}


def test_what_is_written_again_counts_once(writer: SequenceWriter, server: RedisServer) -> None:
    events: list[Event] = [login("e1", T), login("e2", T + 1), account("a1", T + 2, "pro")]
    put(writer, *events)
    put(writer, *events)
    put(writer, events[0])
    assert user_of(server, "acme/u1", T + 2) == User(
        events=tuple(events), account=account("a1", T + 2, "pro")
    )


def test_reading_shows_the_30_days_up_to_the_time_asked_for(
    writer: SequenceWriter, server: RedisServer
) -> None:
    put(writer, login("a", T), login("b", T + 1), login("c", T + 100))
    assert [event.event_id for event in read(server, "acme/u1", T + KEEP_MS)] == ["b", "c"]
    assert [event.event_id for event in read(server, "acme/u1", T + 99)] == ["a", "b"]
    assert read(server, "acme/nobody", T) == []


def test_a_tick_drops_the_users_who_went_silent_and_no_one_else(
    writer: SequenceWriter, raw: redis.Redis
) -> None:
    put(writer, login("a", T, "silent"), login("b", T + 1, "heard"))
    put(writer, login("c", T, "elsewhere"), partition=1)
    assert writer.expire(0, T + KEEP_MS + DAY_MS - 1) == 0
    assert writer.expire(0, T + KEEP_MS + DAY_MS) == 1
    assert set(raw.scan_iter()) == {
        b"events:acme/heard",
        b"events:acme/elsewhere",
        b"events:oldest:0",
        b"events:oldest:1",
    }
    assert raw.zrange("events:oldest:0", 0, -1) == [b"events:acme/heard"]


def test_of_a_user_who_goes_on_a_tick_drops_what_is_old_once_a_day(
    writer: SequenceWriter, raw: redis.Redis
) -> None:
    put(
        writer,
        login("first", T),
        login("late", T - 5),
        login("second", T + DAY_MS),
        login("last", T + KEEP_MS),
    )
    writer.expire(0, T + KEEP_MS + DAY_MS - 1)
    assert ids(raw) == ["first", "late", "second", "last"]
    writer.expire(0, T + KEEP_MS + DAY_MS)
    assert ids(raw) == ["last"]
    assert raw.zrange("events:oldest:0", 0, -1, withscores=True) == [(b"events:acme/u1", T + KEEP_MS)]


def test_a_tick_spares_newer_events_that_another_partition_knows_of(
    writer: SequenceWriter, server: RedisServer
) -> None:
    # Producers with different partitioners may put one user's topics in different partitions.
    put(writer, login("old", T))
    put(writer, login("new", T + DAY_MS + 1), partition=1)
    writer.expire(0, T + KEEP_MS + DAY_MS)
    assert [event.event_id for event in read(server, "acme/u1", T + KEEP_MS + DAY_MS)] == ["new"]


def test_more_silent_users_than_one_round_takes_are_all_dropped(
    writer: SequenceWriter, raw: redis.Redis
) -> None:
    put(writer, *(login("a", T, f"u{i}") for i in range(1201)))
    assert writer.expire(0, T + KEEP_MS + DAY_MS) == 1201
    assert raw.dbsize() == 0


def test_a_key_that_redis_has_lost_is_forgotten(writer: SequenceWriter, raw: redis.Redis) -> None:
    put(writer, login("a", T))
    raw.delete("events:acme/u1")
    writer.expire(0, T + KEEP_MS + DAY_MS)
    assert raw.dbsize() == 0


def test_of_a_user_who_never_stops_the_newer_half_is_kept(
    writer: SequenceWriter, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LARGEST", 10)
    for i in range(13):
        put(writer, login(f"e{i}", T + i))
    assert ids(raw) == [f"e{i}" for i in range(6, 13)]


def test_a_user_with_more_events_than_one_call_takes_is_written_whole(
    writer: SequenceWriter, raw: redis.Redis
) -> None:
    put(writer, *(login(f"e{i}", T + i) for i in range(9001)))
    assert raw.llen("events:acme/u1") == 9001


def test_the_account_is_the_event_with_the_highest_time(writer: SequenceWriter, server: RedisServer) -> None:
    put(writer, account("a1", T + 5, "pro"), account("a2", T + 4, "free"))
    put(writer, account("a3", T, "team"))
    assert user_of(server, "acme/u1", T).account == account("a1", T + 5, "pro")
    put(writer, account("a4", T + 5, "free"), account("a5", T + 5, "max"))
    assert user_of(server, "acme/u1", T).account == account("a5", T + 5, "max")
    assert user_of(server, "acme/u2", T).account is None


EVENTS = st.lists(
    st.builds(
        login,
        st.uuids().map(str),
        st.integers(T - 40 * DAY_MS, T),
        st.sampled_from(["u1", "u2"]),
    ),
    max_size=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the fixture is emptied by hand
@given(events=EVENTS, data=st.data())
def test_whatever_the_order_and_the_repeats_the_30_days_up_to_the_last_tick_are_exact(
    events: list[Login], data: st.DataObject, writer: SequenceWriter, server: RedisServer, raw: redis.Redis
) -> None:
    raw.flushall()
    sent = data.draw(st.permutations(events + events[:4]))
    cut = data.draw(st.integers(0, len(sent)))
    put(writer, *sent[:cut])
    writer.expire(0, T)
    put(writer, *sent[cut:])
    writer.expire(0, T)
    for user in ("u1", "u2"):
        expected = {e for e in events if e.user_id == user and T - KEEP_MS < e.ts <= T}
        found = read(server, f"acme/{user}", T)
        assert set(found) == expected and len(found) == len(expected)
    writer.expire(0, T + KEEP_MS + DAY_MS)
    assert raw.dbsize() == 0


def test_of_a_user_with_very_many_events_none_are_read_near_a_decision(
    writer: SequenceWriter, server: RedisServer
) -> None:
    put(writer, *(login(f"e{i}", T + i) for i in range(MAX_EVENTS)))
    assert len(user_of(server, "acme/u1", T + MAX_EVENTS).events) == MAX_EVENTS
    put(writer, login("one-more", T + 5))
    assert user_of(server, "acme/u1", T + MAX_EVENTS).events == ()
    assert len(read(server, "acme/u1", T + MAX_EVENTS)) == MAX_EVENTS + 1


def test_the_latest_decision_of_a_user_is_kept(server: RedisServer, raw: redis.Redis) -> None:
    async def put() -> None:
        store = UserStore(server.url, timeout_s=5)
        await store.put_decisions({"acme/u1": b"{}", "acme/u2": b'{"id":"2"}'})
        await store.put_decisions({"acme/u1": b'{"id":"1"}'})
        await store.put_decisions({})
        await store.close()

    asyncio.run(put())
    assert raw.get("decision:acme/u1") == b'{"id":"1"}'
    assert raw.get("decision:acme/u2") == b'{"id":"2"}'


def test_users_who_are_asked_for_at_the_same_time_are_each_told_of(
    writer: SequenceWriter, server: RedisServer
) -> None:
    users = [f"u{number}" for number in range(20)]
    put(writer, *(Login(event_id=f"of-{user}", tenant="acme", user_id=user, ts=T) for user in users))

    async def ask(store: UserStore) -> list[User | BaseException]:
        asking = [asyncio.create_task(store.user(f"acme/{user}", T)) for user in (*users, "u0", "nobody")]
        await asyncio.sleep(0)
        asking[1].cancel()  # whoever gives up takes nobody else along
        return await asyncio.gather(*asking, return_exceptions=True)

    found = asked(server, ask)
    assert isinstance(found.pop(1), asyncio.CancelledError)
    told = [[event.event_id for event in user.events] for user in found if isinstance(user, User)]
    assert told == [["of-u0"], *([f"of-{user}"] for user in users[2:]), ["of-u0"], []]


def test_without_redis_every_call_says_which_server_is_missing(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nothing.sock"
    writer = SequenceWriter(url)
    with pytest.raises(UnavailableError, match=r"nothing\.sock"):
        put(writer, login("a", T))
    with pytest.raises(UnavailableError):
        writer.expire(0, T)

    async def ask() -> None:
        store = UserStore(url, timeout_s=5)
        with pytest.raises(UnavailableError):
            await store.user("acme/u1", T)
        with pytest.raises(UnavailableError):
            await store.account("acme/u1")
        await store.close()

    asyncio.run(ask())


def test_a_writer_outlives_a_redis_that_comes_back_empty(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    writer = SequenceWriter(server.url)
    try:
        put(writer, login("a", T))
        server.kill()
        with pytest.raises(UnavailableError):
            put(writer, login("b", T + 1))
        server.start()
        put(writer, login("b", T + 1))
        assert [event.event_id for event in read(server, "acme/u1", T + 1)] == ["b"]
    finally:
        writer.close()
        server.kill()
