"""What passes the sieve is all that changes anything, and what it packs is all that was accepted."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.lifecycle import Lifecycle
from operators.window import PANE_MS, boundary_ms, pane_of, phase_ms
from schemas.codec import accept, encode
from schemas.deadletter import DeadLetter
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from schemas.pack import Pack
from schemas.topics import ACCOUNT, LOGIN, REJECTED, SIFTED, SUPPORT, USAGE, Topic
from streams import sieve
from streams.sieve import Record, Sieve, Sifted

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


class Row(NamedTuple):
    """A record as the client gives it."""

    key: bytes | None
    value: bytes | None
    timestamp: int = T
    offset: int = 0


def row(event: Event) -> Row:
    return Row(event.key.encode(), encode(event), event.ts)


def sift(one: Sieve, *rows: Row, topic: Topic = LOGIN, partition: int = 0) -> Sifted:
    return one.sift([(topic.name, partition, rows)])


def passed(one: Sieve, events: Iterable[Event]) -> list[Event]:
    """Those of the events that pass."""
    rows = [row(event) for event in events]
    return [parse_event(record) for _, _, record in sift(one, *rows).passed]


def parse_event(record: Record) -> Event:
    event = accept(record.key, record.value, record.timestamp)
    assert not isinstance(event, Tick)
    return event


@given(st.lists(EVENTS, max_size=60), st.integers(1, 7), st.integers(1, 3))
def test_what_does_not_pass_changes_nothing(events: list[Event], size: int, users: int) -> None:
    """Whatever the order and the replays, however it is cut into batches and however little is remembered."""
    one = Sieve(users=users)
    sent = [*events, *events[: len(events) // 2]]
    kept = [event for at in range(0, len(sent), size) for event in passed(one, sent[at : at + size])]
    for user in {event.key for event in events}:
        life, state, fewer = Lifecycle(user), Lifecycle.start(), Lifecycle.start()
        for event in sent:
            if event.key == user:
                state, _ = life.step(state, event, T - 61 * DAY_MS)
        for event in kept:
            if event.key == user:
                fewer, _ = life.step(fewer, event, T - 61 * DAY_MS)
        assert fewer == state


@given(st.lists(st.tuples(EVENTS, st.integers(0, 3)), max_size=40))
def test_all_that_was_accepted_is_packed_and_nothing_else(sent: list[tuple[Event, int]]) -> None:
    bad = (Row(b"acme/u1", b"no event"), Row(None, None), Row(b"x", encode(login(0))))
    read = [(LOGIN.name, partition, [row(event)]) for event, partition in sent]
    sifted = Sieve().sift([*read, (LOGIN.name, 1, bad)])
    assert len(sifted.packs) == bool(sent)
    found = [place for pack in sifted.packs for place in unpacked(pack)]
    wanted = [(partition, msgspec.structs.replace(event, replay=None)) for event, partition in sent]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def test_what_is_rejected_becomes_a_dead_letter_that_says_where_it_lay() -> None:
    bad = Row(b"acme/u1", b"no event", T, offset=17)
    sifted = sift(Sieve(), bad, topic=USAGE, partition=3)
    assert sifted.passed == [] and sifted.packs == []
    (out,) = sifted.rejected
    letter = msgspec.json.decode(out.value, type=DeadLetter)
    assert (out.topic, out.key, letter.value) == (REJECTED.name, b"acme/u1", b"no event")
    assert (letter.topic, letter.partition, letter.offset, letter.append_ms) == (USAGE.name, 3, 17, T)


@pytest.mark.parametrize("topic", [SUPPORT, ACCOUNT])
def test_messages_and_accounts_are_packed_only_since_the_main_job_reads_and_judges_them(topic: Topic) -> None:
    message = Support(event_id="e1", tenant="acme", user_id="u1", ts=T, text="Hello")
    account = Account(event_id="e2", tenant="acme", user_id="u1", ts=T, plan="pro")
    tick = Row(b"tick", encode(Tick(ts=T)))
    sifted = sift(Sieve(), row(message), row(account), tick, Row(b"acme/u1", b"no event"), topic=topic)
    assert sifted.passed == [] and sifted.rejected == []
    (pack,) = sifted.packs
    assert [event for _, event in unpacked(pack)] == [message, account] and pack.accounts == [account]


def test_of_an_hour_the_first_login_or_use_passes_and_the_first_of_a_replay() -> None:
    replayed = Replay(until=T)
    first, again = login(0), login(1)
    marked, marked_again = login(2, replay=replayed), login(3, replay=replayed)
    next_hour, back = login(PANE_MS), login(4)
    sent = [first, again, marked, marked_again, next_hour, back]
    assert passed(Sieve(), sent) == [first, marked, next_hour, back]


def test_a_user_of_whom_only_a_message_came_is_not_yet_seen() -> None:
    message = Support(event_id="e1", tenant="acme", user_id="u1", ts=login(0).ts, text="Hello")
    assert passed(Sieve(), [message, login(1)]) == [message, login(1)]


def test_a_tick_passes_in_its_place_and_the_pack_tells_the_newest() -> None:
    first, tick, older = row(login(0)), Row(b"tick", encode(Tick(ts=T + 1))), Row(b"tick", encode(Tick(ts=T)))
    sifted = sift(Sieve(), first, tick, older, row(login(1)), row(login(PANE_MS)), partition=3)
    place = (SIFTED[LOGIN.name].name, 3)
    assert sifted.passed == [(*place, first), (*place, tick), (*place, older), (*place, row(login(PANE_MS)))]
    assert [pack.ticks for pack in sifted.packs] == [{3: T + 1}]


def test_of_a_users_accounts_the_newest_is_told_and_of_equals_the_last() -> None:
    plans = [(T, "old"), (T + 5, "first"), (T + 5, "second"), (T + 1, "older")]
    accounts = [
        Account(event_id=plan, tenant="acme", user_id="u1", ts=ts, plan=plan, replay=Replay(until=T))
        for ts, plan in plans
    ]
    (pack,) = sift(Sieve(), *map(row, accounts), topic=ACCOUNT).packs
    assert pack.accounts == [msgspec.structs.replace(accounts[2], replay=None)]


def test_a_burst_is_told_with_its_last_failure() -> None:
    one = Sieve()
    fail = [
        row(Usage(event_id=f"f{n}", tenant="acme", user_id="u1", ts=T + n, feature="export", outcome="error"))
        for n in range(4)
    ]
    assert sift(one, *fail[:2], topic=USAGE).bursts == []
    assert [burst.event_id for burst in sift(one, *fail[2:], topic=USAGE).bursts] == ["f2"]


def test_a_pack_is_closed_once_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "PACK_BYTES", 1000)
    packs = sift(Sieve(), *(row(login(n)) for n in range(100))).packs
    assert len(packs) > 5 and sum(len(list(unpacked(pack))) for pack in packs) == 100


def login(ms: int, replay: Replay | None = None) -> Login:
    """A login so long after the begin of a pane."""
    phase = phase_ms("acme/u1")
    begin = boundary_ms(pane_of(T, phase), phase)
    return Login(event_id=f"e{ms}", tenant="acme", user_id="u1", ts=begin + ms, replay=replay)


def unpacked(pack: Pack) -> Iterable[tuple[int, Event]]:
    """The events of a pack, each with its partition."""
    for partition, users in pack.users.items():
        for key, elements in msgspec.json.decode(users).items():
            tenant, _, user_id = key.partition("/")
            for fields in elements:
                assert not {"tenant", "user_id", "replay"} & set(fields)
                owned = {**fields, "tenant": tenant, "user_id": user_id}
                yield partition, msgspec.convert(owned, Login | Usage | Support | Account)
