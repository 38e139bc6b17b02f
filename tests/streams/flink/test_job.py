"""The main job, whatever engine runs it: what is rejected, what is decided, and what survives a kill."""

import msgspec
import pytest

from schemas.codec import MAX_EVENT_BYTES, encode
from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision, Draft, DraftRequest
from schemas.events import Event, Replay
from schemas.risk import Assessment, Effect, Risk
from schemas.topics import TOPIC_OF_KIND
from schemas.vocabulary import Cause, HeldBy, Locale, Outcome, Reason, Rung, Trigger
from streams.batch import recompute
from streams.flink.rest import Rest
from tests.streams.conftest import LEAD_MS, Engine, History, OnFlink

DAY_MS = 86_400_000


def login(**changes: object) -> bytes:
    fields = {"kind": "login", "event_id": "e1", "tenant": "bad", "user_id": "u1", "ts": 1_600_000_000_000}
    return msgspec.json.encode(fields | changes)


KEY = b"bad/u1"
BAD: dict[str, tuple[bytes | None, bytes | None, str]] = {
    "unknown kind": (KEY, login(kind="nope"), "kind"),
    "missing field": (KEY, b'{"kind":"login","tenant":"bad","user_id":"u1","event_id":"e1"}', "ts"),
    "mistyped field": (KEY, login(ts="1600000000000"), "ts"),
    "not JSON": (KEY, b"not json", "record"),
    "invalid UTF-8": (KEY, b'{"kind":"login","event_id":"\xff"}', "record"),
    "2 MB": (KEY, login(pad="x" * 2 * MAX_EVENT_BYTES), "record"),
    "null key": (None, login(), "key"),
    "another user's key": (b"bad/u2", login(), "key"),
    "null value": (KEY, None, "record"),
    "too far ahead": (KEY, login(ts=9_999_999_999_999), "ts"),
    "too far behind": (KEY, login(ts=1000), "ts"),
    "tenant with a slash": (b"ba/d/u1", login(tenant="ba/d"), "tenant"),
    "user id with a newline": (b"bad/u\n1", login(user_id="u\n1"), "user_id"),
}


def send_all(engine: Engine, events: list[Event]) -> None:
    for event in events:
        topic = TOPIC_OF_KIND[event.__struct_config__.tag]  # type: ignore[index]  # a tag is a word
        engine.send(topic.name, event.key.encode(), encode(event))


def decided(engine: Engine, tenant: str) -> dict[str, Decision]:
    """Decisions by id: a copy of one, after a restart, is the same decision."""
    values = [msgspec.json.decode(value, type=Decision) for _, value in engine.published("decisions")]
    return {decision.id: decision for decision in values if decision.tenant == tenant}


def check(engine: Engine, tenant: str, events: list[Event], until_ms: int) -> None:
    batch = recompute(map(encode, events), until_ms)
    wanted = {one.id: one for one in batch.decisions}
    found = decided(engine, tenant)
    assert len(wanted) > 100
    assert found.keys() == wanted.keys()
    for id, one in wanted.items():
        same = ("at", "cause", "from_tier", "to_tier", "activity", "outcome", "held_by", "user_id")
        assert [getattr(found[id], name) for name in same] == [getattr(one, name) for name in same]
    assert {(one.outcome, one.held_by) for one in found.values()} == {(Outcome.HELD, HeldBy.REPLAY)}


def test_each_bad_record_ends_as_a_dead_letter_and_the_job_goes_on(engine: Engine, history: History) -> None:
    for key, value, _ in BAD.values():
        engine.send("events.usage", key, value)
    events, until_ms = history("after-bad", 1)
    send_all(engine, events)
    engine.carry_on(until_ms)
    letters = [
        (key, msgspec.json.decode(value, type=DeadLetter))
        for key, value in engine.published("events.rejected")
    ]
    found = {(key, letter.key, letter.value, letter.field) for key, letter in letters}
    assert found == {(key, key, value, field) for key, value, field in BAD.values()}
    assert {letter.topic for _, letter in letters} == {"events.usage"}
    assert all(letter.reason for _, letter in letters)
    check(engine, "after-bad", events, until_ms)


def test_a_draft_that_was_asked_for_is_published_at_its_crossing(engine: Engine, history: History) -> None:
    """From the request before to the decision, with the drafter's answer in between."""
    events, _ = history("drafted", 3)
    last_ms = max(event.ts for event in events)
    live = [msgspec.structs.replace(event, replay=Replay(until=last_ms)) for event in events]
    send_all(engine, live)
    silent_ms = last_ms + DAY_MS
    foreseen = recompute(map(encode, live), silent_ms + 30 * DAY_MS).decisions
    first = next(one for one in foreseen if one.at > silent_ms)
    engine.carry_on(first.at - LEAD_MS + 1)
    requests = [
        msgspec.json.decode(value, type=DraftRequest) for _, value in engine.published("drafts.requests")
    ]
    (request,) = [one for one in requests if one.crossing.id == first.id]
    assert request.crossing.to_tier is first.to_tier and request.crossing.at == first.at

    draft = Draft(
        id=first.id,
        tenant=first.tenant,
        user_id=first.user_id,
        at=first.at,
        asked_at=request.asked_at,
        reason=Reason.USAGE_DROP,
        text="Hi, how are you?",
        locale=Locale.EN,
        model="holdfast-nano",
        model_version="7",
        written_ms=1.0,
    )
    key = draft.key.encode()
    engine.send("drafts", key, b"no draft")
    engine.send("drafts", key, encode(draft))
    engine.carry_on(first.at - 1000)
    engine.carry_on(first.at)
    decision = decided(engine, "drafted")[first.id]
    assert decision.outcome is Outcome.SENT
    assert decision.script is not None
    assert (decision.script.text, decision.script.rung) == (draft.text, Rung.DRAFT)
    assert (decision.script.model, decision.script.model_version) == ("holdfast-nano", "7")
    sent = [msgspec.json.decode(value, type=Decision).id for _, value in engine.published("interventions")]
    assert first.id in sent
    dead = [msgspec.json.decode(value, type=DeadLetter) for _, value in engine.published("events.rejected")]
    assert [letter.value for letter in dead if letter.topic == "drafts"] == [b"no draft"]


def test_an_assessment_over_the_threshold_is_a_crossing_once_until_it_has_fallen(
    engine: Engine, history: History
) -> None:
    events, _ = history("assessed", 5)
    last_ms = max(event.ts for event in events)
    live = [msgspec.structs.replace(event, replay=Replay(until=last_ms)) for event in events]
    send_all(engine, live)
    at = last_ms + 3_600_000
    engine.carry_on(at)
    tiers = recompute(map(encode, live), at).tiers
    assert len(tiers) > 20

    course = (0.3, 0.9, 0.45, 0.95, 0.39, 0.8)
    for key in tiers:
        for n, probability in enumerate(course):
            for _ in range(2):
                engine.send("risks", key.encode(), encode(risk(key, f"r{n}", at + n, probability)))
    engine.send("risks", b"assessed/u", b"no risk")
    engine.carry_on(at + 1000)

    found = [msgspec.json.decode(value, type=Crossing) for _, value in engine.published("crossings")]
    ours = [one for one in found if one.tenant == "assessed" and one.cause is Cause.RISK]
    assert sorted((f"assessed/{one.user_id}", one.at - at) for one in ours) == sorted(
        (key, n) for key in tiers for n in (1, 5)
    )
    for one in ours:
        key = f"assessed/{one.user_id}"
        assert one.from_tier is one.to_tier is tiers[key]
        assert one.risk == risk(key, "", one.at, course[one.at - at]).assessment
        assert one.detected_ms == one.at + 0.5
    dead = [msgspec.json.decode(value, type=DeadLetter) for _, value in engine.published("events.rejected")]
    assert [letter.value for letter in dead if letter.topic == "risks"] == [b"no risk"]


def risk(key: str, event_id: str, at: int, probability: float) -> Risk:
    tenant, _, user_id = key.partition("/")
    return Risk(
        event_id=event_id,
        tenant=tenant,
        user_id=user_id,
        at=at,
        active_hours=720,
        assessment=Assessment(
            trigger=Trigger.ERRORS,
            probability=probability,
            words={},
            reasons=(Effect(signal="quiet", value=None, effect=0.5),),
            model="risk",
            model_version="1",
            assessed_ms=1.0,
        ),
        signals={"quiet": None},
        detected_ms=at + 0.5,
    )


@pytest.mark.real
def test_a_killed_job_goes_on_from_its_checkpoint_and_misses_nothing(
    on_flink: OnFlink, history: History
) -> None:
    events, until_ms = history("killed", 2)
    rest = Rest(on_flink.stack.settings.flink_port)
    third = len(events) // 3
    for begin in (0, third):
        send_all(on_flink, events[begin : begin + third])
        on_flink.tick(events[begin + third].ts)
        rest.wait_checkpoint_after(rest.checkpoint_triggered_ms() or 0, 60)
        on_flink.fail()
    send_all(on_flink, events[2 * third :])
    on_flink.carry_on(until_ms)
    check(on_flink, "killed", events, until_ms)


@pytest.mark.real
def test_a_killed_sieve_goes_on_from_what_it_had_committed_and_misses_nothing(
    on_flink: OnFlink, history: History
) -> None:
    events, until_ms = history("sifted", 2)
    third = len(events) // 3
    for begin in (0, third):
        send_all(on_flink, events[begin : begin + third])
        on_flink.tick(events[begin + third].ts)
        on_flink.kill("sieve")
    send_all(on_flink, events[2 * third :])
    on_flink.carry_on(until_ms)
    check(on_flink, "sifted", events, until_ms)
