"""The engine in memory: event time as the stream has it, and a clock that only the test moves."""

import msgspec

from operators.lifecycle import Lifecycle
from operators.tier import usual_hours
from operators.window import PANE_MS
from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision
from schemas.events import Account, Login, Replay, Tick
from schemas.risk import Assessment, Risk
from schemas.topics import EVENT_TOPICS, PARTITIONS
from schemas.vocabulary import Cause, HeldBy, Tier, Trigger
from streams.memory import NEVER, Memory

DAY_MS = 24 * PANE_MS
NOW_MS = 20_000 * DAY_MS
KEY = b"acme/u1"


def login(ts: int, replay: Replay | None = None) -> bytes:
    return encode(Login(event_id=f"e{ts}", tenant="acme", user_id="u1", ts=ts, replay=replay))


def account(ts: int, plan: str) -> bytes:
    return encode(Account(event_id=f"a{plan}", tenant="acme", user_id="u1", ts=ts, plan=plan))


def living(days: int, until_ms: int) -> Memory:
    """A user with three active panes a day, whose past up to `until_ms` was replayed."""
    engine = Memory(now_ms=NOW_MS)
    for day in range(days):
        for hour in (9, 13, 17):
            ts = until_ms - (days - day) * DAY_MS + hour * PANE_MS
            engine.send("events.login", KEY, login(ts, Replay(until=until_ms)))
    engine.tick(until_ms + engine.bound_ms)
    return engine


def test_event_time_waits_for_the_slowest_partition() -> None:
    engine = Memory(now_ms=NOW_MS)
    tick = encode(Tick(ts=NOW_MS))
    places = [(topic.name, number) for topic in EVENT_TOPICS for number in range(PARTITIONS)]
    for topic, number in places[:-1]:
        engine.send(topic, None, tick, number)
    assert engine.watermark_ms == NEVER
    engine.send(places[-1][0], None, tick, places[-1][1])
    assert engine.watermark_ms == NOW_MS - engine.bound_ms - 1


def test_a_time_far_ahead_moves_event_time_only_in_a_replay() -> None:
    engine = Memory(now_ms=NOW_MS)
    engine.tick(NOW_MS)
    before = engine.watermark_ms
    for number in range(PARTITIONS):
        engine.send("events.login", KEY, login(NOW_MS + DAY_MS), number)
        engine.send("events.login", KEY, b'{"ts":true}', number)
        engine.send("events.login", KEY, b"\xff", number)
        engine.send("events.login", KEY, None, number)
    assert engine.watermark_ms == before
    for topic in EVENT_TOPICS:
        for number in range(PARTITIONS):
            ahead = Tick(ts=NOW_MS + DAY_MS, replay=Replay(until=NOW_MS + DAY_MS))
            engine.send(topic.name, None, encode(ahead), number)
    assert engine.watermark_ms == NOW_MS + DAY_MS - engine.bound_ms - 1


def test_after_a_replay_a_decline_is_live_and_carries_the_newest_account() -> None:
    engine = living(40, NOW_MS)
    engine.send("events.account", KEY, account(NOW_MS - 1, "pro"))
    engine.send("events.account", KEY, account(NOW_MS - 2, "free"))
    engine.now_ms = NOW_MS + 3 * DAY_MS
    engine.tick(NOW_MS + 3 * DAY_MS)
    record = engine.published("crossings")[0]
    crossing = msgspec.json.decode(record.value, type=Crossing)
    assert record.key == KEY
    assert (crossing.from_tier, crossing.to_tier) == (Tier.VERY_LOW, Tier.LOW)
    assert crossing.usual == usual_hours(crossing.prior, crossing.tenure)
    assert crossing.account is not None and crossing.account.plan == "pro"
    assert crossing.detected_ms == engine.now_ms


def test_a_risk_crossing_that_is_held_says_so_with_the_risk_and_its_own_detection() -> None:
    engine = living(40, NOW_MS)
    opt_out = Account(event_id="a", tenant="acme", user_id="u1", ts=NOW_MS + 1, consent=False)
    engine.send("events.account", KEY, encode(opt_out))
    engine.now_ms = NOW_MS + 20
    assessment = Assessment(
        trigger=Trigger.ACCOUNT,
        probability=0.9,
        words={},
        reasons=(),
        model="risk",
        model_version="1",
        assessed_ms=NOW_MS + 8.0,
    )
    risk = Risk(
        event_id="a",
        tenant="acme",
        user_id="u1",
        at=NOW_MS + 1,
        active_hours=90,
        assessment=assessment,
        signals={},
        detected_ms=NOW_MS + 2.0,
    )
    engine.send("risks", KEY, encode(risk))
    engine.send("risks", b"acme/other", encode(risk))
    (record,) = [r for r in engine.published("decisions") if b'"risk"' in r.value]
    decision = msgspec.json.decode(record.value, type=Decision)
    assert (decision.cause, decision.held_by, decision.risk) == (Cause.RISK, HeldBy.CONSENT, assessment)
    assert decision.from_tier is decision.to_tier is Tier.VERY_LOW
    assert decision.timing.detected_ms == NOW_MS + 2.0
    assert decision.timing.steps == {"assess": 6.0, "evaluate": 12.0}
    (dead,) = engine.published("events.rejected")
    assert msgspec.json.decode(dead.value, type=DeadLetter).field == "key"


def test_the_last_millisecond_before_a_boundary_decides() -> None:
    engine = living(40, NOW_MS)
    state = engine.state("acme/u1")
    due = Lifecycle("acme/u1").due(state)
    assert due is not None
    engine.tick(due + engine.bound_ms)
    assert not engine.published("crossings")
    engine.tick(due + engine.bound_ms + 1)
    assert len(engine.published("crossings")) == 1
