"""What passes the sieve is all that changes anything, and what it packs is all that was accepted."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.lifecycle import Lifecycle
from operators.window import PANE_MS, boundary_ms, pane_of, phase_ms
from schemas.codec import encode
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from schemas.pack import Pack
from streams import sieve
from streams.sieve import Record, Sieve

T = 1_700_000_000_000
DAY_MS = 86_400_000
MARKS = st.sampled_from([None, Replay(until=T), Replay(until=T, compose=True), Replay(until=T + DAY_MS)])
NAMES = {"tenant": st.just("acme"), "user_id": st.sampled_from(["u1", "u2", '李"🙂']), "replay": MARKS}


def times(days: int = 60) -> st.SearchStrategy[int]:
    """Mostly of few panes, so that events meet in them."""
    return st.builds(
        lambda pane, ms: T - pane * PANE_MS + ms, st.integers(0, days * 24), st.integers(0, 5000)
    )


EVENTS = st.one_of(
    st.builds(Login, event_id=st.uuids().map(str), ts=times(), **NAMES),
    st.builds(Usage, event_id=st.uuids().map(str), ts=times(3), feature=st.just("export"), **NAMES),
    st.builds(Account, event_id=st.uuids().map(str), ts=times(), consent=st.booleans(), **NAMES),
    st.builds(Support, event_id=st.uuids().map(str), ts=times(), text=st.just('"tenant":"acme",'), **NAMES),
)


def records(events: Iterable[Event], partition: int = 0) -> list[Record]:
    return [(event.key.encode(), encode(event), partition, event.ts) for event in events]


@given(st.lists(EVENTS, max_size=60), st.integers(1, 7), st.integers(1, 3))
def test_what_does_not_pass_changes_nothing(events: list[Event], size: int, users: int) -> None:
    """Whatever the order and the replays, however it is cut into batches and however little is remembered."""
    one = Sieve(users=users)
    sent = [*events, *events[: len(events) // 2]]
    passed: list[Event] = []
    for start in range(0, len(sent), size):
        some = sent[start : start + size]
        passes = one.sift(records(some)).passes
        passed += [event for event, does in zip(some, passes, strict=True) if does]
    for user in {event.key for event in events}:
        watched = [event for event in sent if event.key == user]
        kept = [event for event in passed if event.key == user]
        life, state, fewer = Lifecycle(user), Lifecycle.start(), Lifecycle.start()
        for event in watched:
            state, _ = life.step(state, event, T - 61 * DAY_MS)
        for event in kept:
            fewer, _ = life.step(fewer, event, T - 61 * DAY_MS)
        assert fewer == state


@given(st.lists(st.tuples(EVENTS, st.integers(0, 3)), max_size=40))
def test_all_that_was_accepted_is_packed_and_nothing_else(sent: list[tuple[Event, int]]) -> None:
    bad: list[Record] = [(b"acme/u1", b"no event", 1, T), (None, None, 2, T), (b"x", encode(login(0)), 0, T)]
    given = [record for event, partition in sent for record in records([event], partition)]
    sifted = Sieve().sift([*given, *bad])
    assert sifted.passes[len(given) :] == [True] * len(bad)
    assert len(sifted.packs) == bool(sent)
    found = [
        (partition, msgspec.structs.replace(event, replay=None))
        for pack in sifted.packs
        for partition, event in unpacked(pack)
    ]
    wanted = [(partition, msgspec.structs.replace(event, replay=None)) for event, partition in sent]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def test_of_an_hour_the_first_login_or_use_passes_and_the_first_of_a_replay() -> None:
    replayed = Replay(until=T)
    events = [
        login(0),
        login(1),
        login(2, replay=replayed),
        login(3, replay=replayed),
        login(PANE_MS),
        login(4),
    ]
    assert Sieve().sift(records(events)).passes == [True, False, True, False, True, True]


def test_messages_and_accounts_pass_always_and_ticks_never() -> None:
    message = Support(event_id="e1", tenant="acme", user_id="u1", ts=T, text="Hello")
    account = Account(event_id="e2", tenant="acme", user_id="u1", ts=T, plan="pro")
    sifted = Sieve().sift(
        [
            *records([message, account, message, account]),
            (b"tick", encode(Tick(ts=T + 1)), 3, T),
            (b"tick", encode(Tick(ts=T)), 3, T),
        ]
    )
    assert sifted.passes == [True] * 4 + [False] * 2
    (pack,) = sifted.packs
    assert pack.ticks == {3: T + 1} and pack.accounts == [account]


def test_of_a_users_accounts_the_newest_is_told_and_of_equals_the_last() -> None:
    plans = [(T, "old"), (T + 5, "first"), (T + 5, "second"), (T + 1, "older")]
    accounts = [
        Account(event_id=plan, tenant="acme", user_id="u1", ts=ts, plan=plan, replay=Replay(until=T))
        for ts, plan in plans
    ]
    (pack,) = Sieve().sift(records(accounts)).packs
    assert pack.accounts == [msgspec.structs.replace(accounts[2], replay=None)]


def test_a_burst_is_told_in_the_pack_of_its_last_failure() -> None:
    one = Sieve()
    fail = [
        Usage(event_id=f"f{n}", tenant="acme", user_id="u1", ts=T + n, feature="export", outcome="error")
        for n in range(4)
    ]
    assert one.sift(records(fail[:2])).packs[0].bursts == []
    assert [burst.event_id for burst in one.sift(records(fail[2:])).packs[0].bursts] == ["f2"]


def test_a_pack_is_closed_once_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "PACK_BYTES", 1000)
    packs = Sieve().sift(records(login(n) for n in range(100))).packs
    assert len(packs) > 5 and sum(len(list(unpacked(pack))) for pack in packs) == 100


def login(ms: int, replay: Replay | None = None) -> Login:
    """A login so long after the begin of a pane."""
    phase = phase_ms("acme/u1")
    begin = boundary_ms(pane_of(T, phase), phase)
    return Login(event_id=f"e{ms}", tenant="acme", user_id="u1", ts=begin + ms, replay=replay)


def unpacked(pack: Pack) -> Iterable[tuple[int, Event]]:
    """The events of a pack, each with its partition."""
    for partition, users in pack.users.items():
        for key, elements in users.items():
            tenant, _, user_id = key.partition("/")
            for fields in msgspec.json.decode(elements):
                assert not {"tenant", "user_id", "replay"} & set(fields)
                owned = {**fields, "tenant": tenant, "user_id": user_id}
                yield partition, msgspec.convert(owned, Login | Usage | Support | Account)
