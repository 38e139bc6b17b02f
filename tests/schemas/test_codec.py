"""What is accepted as an event, and what a rejection says to the one who sent it."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codec import MAX_AHEAD_MS, MAX_BEHIND_MS, MAX_EVENT_BYTES, Judged, accept, judge
from schemas.errors import RejectedEvent
from schemas.events import Login, Support, Tick, Usage

NOW_MS = 1_700_000_000_000
LOGIN: dict[str, Any] = {
    "event_id": "e1",
    "tenant": "acme",
    "user_id": "u1",
    "ts": NOW_MS,
    "kind": "login",
    "channel": "web",
}


def accepted(event: dict[str, Any], append_ms: int = NOW_MS) -> Any:
    key = f"{event.get('tenant')}/{event.get('user_id')}".encode()
    return accept(key, json.dumps(event).encode(), append_ms)


def rejected(event: dict[str, Any], append_ms: int = NOW_MS) -> tuple[str, str]:
    with pytest.raises(RejectedEvent) as caught:
        accepted(event, append_ms)
    return caught.value.field, caught.value.reason


def test_the_documented_examples_are_events() -> None:
    assert accepted(LOGIN) == Login(event_id="e1", tenant="acme", user_id="u1", ts=NOW_MS)
    usage = LOGIN | {"kind": "usage", "feature": "export", "duration_ms": 1200, "outcome": "ok"}
    del usage["channel"]
    assert accepted(usage) == Usage(
        event_id="e1", tenant="acme", user_id="u1", ts=NOW_MS, feature="export", duration_ms=1200
    )
    support = LOGIN | {"kind": "support", "text": "打不开", "lang": "zh"}
    assert accepted(support) == Support(
        event_id="e1", tenant="acme", user_id="u1", ts=NOW_MS, text="打不开", lang="zh"
    )


def test_fields_that_we_do_not_know_are_let_pass() -> None:
    assert accepted(LOGIN | {"colour": "red"}) == accepted(LOGIN)


@pytest.mark.parametrize("user_id", ["a/b/c", "😀", "👩‍👧", "李雷", "x" * 128])
def test_a_user_id_is_any_printable_word(user_id: str) -> None:
    assert accepted(LOGIN | {"user_id": user_id}).key == f"acme/{user_id}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "purchase"}, "kind"),
        ({"tenant": "a/b"}, "tenant"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "acme\n"}, "tenant"),
        ({"user_id": "u\n1"}, "user_id"),
        ({"user_id": "u1\n"}, "user_id"),
        ({"user_id": "two words"}, "user_id"),
        ({"user_id": "x" * 129}, "user_id"),
        ({"event_id": 7}, "event_id"),
        ({"ts": "yesterday"}, "ts"),
        ({"ts": 1.5}, "ts"),
        ({"ts": -1}, "ts"),
        ({"ts": 10**15}, "ts"),
        ({"action": "left"}, "action"),
    ],
)
def test_a_rejection_names_the_field_at_fault(change: dict[str, Any], field: str) -> None:
    assert rejected(LOGIN | change)[0] == field


@pytest.mark.parametrize("field", ["event_id", "tenant", "user_id", "ts"])
def test_a_missing_field_is_named(field: str) -> None:
    event = {name: value for name, value in LOGIN.items() if name != field}
    with pytest.raises(RejectedEvent) as caught:
        accept(b"acme/u1", json.dumps(event).encode(), NOW_MS)
    assert (caught.value.field, caught.value.reason) == (field, "is missing")


@pytest.mark.parametrize("value", [None, b"", b"login", b"[1]", b'{"kind":"login"', b'{"kind":"\xff"}'])
def test_what_is_no_json_object_is_rejected_as_a_whole(value: bytes | None) -> None:
    with pytest.raises(RejectedEvent) as caught:
        accept(b"acme/u1", value, NOW_MS)
    assert caught.value.field == "record"


def test_a_record_has_a_size_that_is_allowed() -> None:
    field, reason = rejected(LOGIN | {"padding": "x" * 2_000_000})
    assert field == "record" and str(MAX_EVENT_BYTES) in reason


def test_the_key_is_the_users() -> None:
    value = json.dumps(LOGIN).encode()
    for key in (None, b"", b"acme", b"acme/u2", b"\xff"):
        with pytest.raises(RejectedEvent) as caught:
            accept(key, value, NOW_MS)
        assert caught.value.field == "key"


def test_event_time_stays_near_the_append_time() -> None:
    for ts in (NOW_MS + MAX_AHEAD_MS, NOW_MS - MAX_BEHIND_MS):
        assert accepted(LOGIN | {"ts": ts}).ts == ts
    assert rejected(LOGIN | {"ts": NOW_MS + MAX_AHEAD_MS + 1})[0] == "ts"
    assert rejected(LOGIN | {"ts": NOW_MS - MAX_BEHIND_MS - 1})[0] == "ts"


def test_a_replay_of_history_may_be_of_any_age() -> None:
    assert accepted(LOGIN | {"ts": 0, "replay": {"until": 5}}).ts == 0


def test_a_tick_belongs_to_nobody() -> None:
    assert accept(None, b'{"kind":"tick","ts":5,"replay":{"until":5}}', NOW_MS) == Tick(
        ts=5, replay=accepted(LOGIN | {"replay": {"until": 5}}).replay
    )


class Row(NamedTuple):
    """A record as the client gives it."""

    value: bytes | None
    key: bytes | None = b"acme/u1"
    timestamp: int = NOW_MS
    offset: int = 0


def spelled(**change: Any) -> bytes:
    return json.dumps(LOGIN | change).encode()


PIECES = [b"{", b"}", b"[", b"]", b'"', b",", b"\n", b'"x":', b"{}", b"\xff", b" ", spelled(), spelled(ts=0)]
ROWS = st.one_of(
    st.just(Row(spelled())),
    st.just(Row(b'{"kind":"tick","ts":5,"replay":{"until":5}}', b"tick")),
    st.just(Row(spelled(replay={"until": NOW_MS}, ts=0))),
    st.just(Row(json.dumps(LOGIN | {"kind": "account", "contact": ["a{b"], "name": "李雷"}).encode())),
    st.builds(Row, st.just(spelled()), key=st.sampled_from([None, b"acme/u2", b"tick", b"acme/u1\nacme/u1"])),
    st.builds(Row, st.just(spelled()), timestamp=st.sampled_from([0, NOW_MS + MAX_BEHIND_MS + 1])),
    st.builds(lambda user: Row(spelled(user_id=user), f"acme/{user}".encode()), st.text(max_size=3)),
    st.builds(lambda pieces: Row(b"".join(pieces)), st.lists(st.sampled_from(PIECES), max_size=5)),
    st.just(Row(None)),
)


@given(st.lists(ROWS, max_size=6))
@example([Row(b'{"x":"}'), Row(b'{":1},' + spelled() + b"," + spelled())])
@example([Row(b'{"x":[{}'), Row(b"{}]}," + spelled())])
@example([Row(spelled() + b"," + spelled()), Row(b"")])
@example([Row(spelled()[:-1]), Row(b'"x":2},' + spelled())])
@example([Row(spelled() + b",\n" + spelled())] * 2)
def test_many_at_once_are_judged_as_each_alone(rows: list[Row]) -> None:
    """Also where pieces of several records would make events together."""
    assert [told(found) for found in judge(rows)] == [told(alone(row)) for row in rows]


def alone(row: Row) -> Judged:
    try:
        return accept(row.key, row.value, row.timestamp)
    except RejectedEvent as error:
        return error


def told(judged: Judged) -> Any:
    return (judged.field, judged.reason) if isinstance(judged, RejectedEvent) else judged


def test_events_that_are_all_fit_are_decoded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the time that it saves; so also among ticks, replays, and names of all scripts."""
    monkeypatch.setattr("schemas.codec.accept", None)
    marked = Row(spelled(replay={"until": NOW_MS}, ts=0, user_id="李雷"), "acme/李雷".encode())
    rows = [Row(spelled()), Row(b'{"kind":"tick","ts":5,"replay":{"until":5}}', b"tick"), marked]
    assert [type(event) for event in judge(rows)] == [Login, Tick, Login]
