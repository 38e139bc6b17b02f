"""What is accepted as an event, and what a rejection says to the one who sent it."""

import json
from typing import Any

import pytest

from schemas.codec import MAX_AHEAD_MS, MAX_BEHIND_MS, MAX_EVENT_BYTES, accept
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
