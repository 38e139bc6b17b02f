"""When the ticker ticks: only while the newest record is a live one."""

from schemas.codec import encode
from schemas.events import Login, Replay, Tick
from streams.agents.ticker import Watch

A, B = ("events.login", 0), ("events.usage", 0)
LIVE = encode(Login(event_id="e1", tenant="acme", user_id="u1", ts=5))
PAST = encode(Login(event_id="e2", tenant="acme", user_id="u1", ts=5, replay=Replay(until=9)))


def test_empty_topics_get_no_ticks() -> None:
    watch = Watch()
    assert watch.unseen({A: 0, B: 0}) == {}
    assert not watch.live


def test_the_last_record_of_each_partition_that_grew_is_looked_at_once() -> None:
    watch = Watch()
    assert watch.unseen({A: 3, B: 0}) == {A: 2}
    watch.passed(A, 2)
    assert watch.unseen({A: 3, B: 1}) == {B: 0}
    assert watch.unseen({A: 3, B: 1}) == {B: 0}, "it could not be read, and is asked for again"
    watch.passed(B, 0)
    assert watch.unseen({A: 3, B: 1}) == {}


def test_a_live_record_starts_the_ticks_and_a_replay_stops_them() -> None:
    watch = Watch()
    watch.saw(LIVE, append_ms=100)
    assert watch.live
    watch.saw(PAST, append_ms=101)
    assert not watch.live
    watch.saw(LIVE, append_ms=102)
    assert watch.live


def test_the_broker_s_append_time_decides_which_record_is_the_newest() -> None:
    watch = Watch()
    watch.saw(PAST, append_ms=101)
    watch.saw(LIVE, append_ms=100)
    assert not watch.live
    watch.saw(LIVE, append_ms=101)
    assert not watch.live, "of two at the same time the replay counts"


def test_our_own_ticks_hide_nothing() -> None:
    watch = Watch()
    watch.passed(A, 2)
    watch.sent(A, 3)
    assert watch.unseen({A: 4}) == {}
    watch.sent(A, 6)
    assert watch.unseen({A: 7}) == {A: 5}, "two records came just before the tick"


def test_after_a_restart_ticks_that_were_live_still_are() -> None:
    watch = Watch()
    watch.saw(encode(Tick(ts=7)), append_ms=100)
    assert watch.live
    watch.saw(encode(Tick(ts=7, replay=Replay(until=9))), append_ms=101)
    assert not watch.live


def test_a_bad_record_says_nothing() -> None:
    watch = Watch()
    watch.saw(LIVE, append_ms=100)
    watch.saw(b"\xff", append_ms=101)
    watch.saw(None, append_ms=102)
    assert watch.live
