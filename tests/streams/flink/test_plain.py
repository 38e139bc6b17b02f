"""What SQL takes for a plain event is one that is accepted, and its `ts` and mark are the event's."""

import json
import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import accept, encode
from schemas.events import Event, Login, Replay, Tick, Usage
from streams.flink.plain import CLOCK, MARK, PLAIN, TICK, TS_GROUP

names = st.text(st.sampled_from('aZ9_.-/{}"\\:, é李☂\u200b\ufffd'), max_size=4)
words = st.sampled_from(
    ["", "web", "login", "logout", "usage", "tick", "ok", "error", "export", "null", "导出"]
)
numbers = st.sampled_from([0, 1, 7, -1, 1_700_000_000_000, 10**15, 1.5, True, None])
marks = st.sampled_from(
    [None, {"until": 5, "compose": True}, {"until": 5}, {"until": -5, "compose": False}, {}]
)
values = {
    "event_id": names | st.just("e1"),
    "tenant": st.just("acme") | names,
    "user_id": st.just("u1") | names,
    "ts": numbers | st.just("7"),
    "kind": st.sampled_from(["login", "usage"]) | words,
    "feature": words | names | numbers,
    "replay": marks,
    "channel": words | names,
    "action": words,
    "duration_ms": numbers,
    "outcome": words,
    "more": names | numbers | marks,
}
fields = st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), values[name]))
GOOD = [
    ("event_id", "e1"),
    ("tenant", "acme"),
    ("user_id", "u1"),
    ("ts", 7),
    ("kind", "usage"),
    ("feature", "f"),
]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """An event of fields that are right, wrong, missing, twice or unknown, in any order."""
    good = draw(st.lists(st.sampled_from(GOOD), unique=True)) if draw(st.booleans()) else GOOD
    pairs = draw(st.permutations([*good, *draw(st.lists(fields, max_size=3))]))
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" :", ","), (":", ",,")]))
    ascii_only = draw(st.booleans())
    parts = (
        json.dumps(name) + colon + json.dumps(value, ensure_ascii=ascii_only, separators=(comma, colon))
        for name, value in pairs
    )
    return "{" + comma.join(parts) + "}" + draw(st.sampled_from(["", "", "\n", "x", ","]))


@given(texts())
def test_a_plain_event_is_accepted_and_read_as_it_is(text: str) -> None:
    found = re.search(PLAIN, f"acme/u1 {text}")
    if found is None:
        return
    event = accept(b"acme/u1", text.encode(), append_ms=int(found[TS_GROUP]))
    assert isinstance(event, Login | Usage)
    assert event.ts == int(found[TS_GROUP])
    mark = re.search(MARK, text) if text.endswith("}}") else None  # as SQL looks for it
    assert event.replay == (None if mark is None else msgspec.json.decode(mark[1], type=Replay))


@given(
    st.sampled_from([None, Replay(until=9), Replay(until=9, compose=True)]),
    st.sampled_from(["json", "spaced", "contract"]),
    st.sampled_from(["login", "usage"]),
)
def test_events_as_producers_write_them_are_plain(replay: Replay | None, style: str, kind: str) -> None:
    login = Login(event_id="e1", tenant="acme", user_id="u1", ts=1_700_000_000_000, replay=None)
    usage = Usage(event_id="e1", tenant="acme", user_id="王芳", ts=1_700_000_000_000, feature="export")
    event: Event = login if kind == "login" else usage
    text = encode(event).decode()
    if style == "spaced":
        text = json.dumps(json.loads(text), ensure_ascii=False)
    if style == "contract":
        order = ("event_id", "tenant", "user_id", "ts", "kind")
        all_of = json.loads(text)
        rest = {name: value for name, value in all_of.items() if name not in (*order, "replay")}
        text = json.dumps(
            {name: all_of[name] for name in order} | rest, separators=(",", ":"), ensure_ascii=False
        )
    if replay is not None:
        text = text[:-1] + ',"replay":' + encode(replay).decode() + "}"
    found = re.search(PLAIN, f"{event.key} {text}")
    assert found is not None and int(found[TS_GROUP]) == event.ts
    clock = re.search(CLOCK, text)
    assert clock is not None and int(clock[1]) == event.ts


def test_no_event_is_plain_under_another_key() -> None:
    text = encode(Login(event_id="e1", tenant="acme", user_id="u1", ts=7)).decode()
    assert re.search(PLAIN, f"acme/u1 {text}")
    for key in ("acme/u2", "acm/u1", "", "acme/u11", "acme/"):
        assert not re.search(PLAIN, f"{key} {text}")


def test_a_tick_is_known_as_ours_are_written() -> None:
    for replay in (None, Replay(until=9)):
        assert re.search(TICK, encode(Tick(ts=7, replay=replay)).decode())
    assert not re.search(TICK, '{"kind":"tick","ts":"7","replay":null}')
