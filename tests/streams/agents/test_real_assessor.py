"""From a message to the decision on it: all processes but Triton, as `holdfast up` starts them."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
import pytest
import redis
from kafka import KafkaProducer

from schemas.codec import encode
from schemas.decision import Decision
from schemas.events import Event, Login, Replay, Support, Tick, Usage
from schemas.risk import Risk
from schemas.topics import DECISIONS, EVENT_TOPICS, PARTITIONS, RISKS, TICK_KEY, TOPIC_OF_KIND
from schemas.vocabulary import Cause, Outcome, Trigger
from streams.consumer import Reader, reading
from streams.embedded import Stack
from streams.flink.rest import Rest
from streams.settings import Settings

pytestmark = pytest.mark.real

# Not the defaults: a stack that somebody runs on this machine is left alone. No Triton listens on port 9.
PORTS = {
    "broker_port": 19392,
    "controller_port": 19393,
    "redis_port": 19379,
    "flink_port": 19381,
    "triton_grpc_port": 9,
}
PARTS = ("broker", "redis", "sieve", "flink", "sequences", "assessor", "composer", "ticker")
Kind = TypeVar("Kind")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_WAIT_S = 120.0
# So low that it is the wiring which is tested, and not the model of the day.
TENANTS = '{"acme": {"product": "Acme", "risk_threshold": 0.05, "risk_clear": 0.04}}'


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("assessor")
    tenants = folder / "tenants.json"
    tenants.write_text(TENANTS)
    stack = Stack(
        Settings(
            work_dir=folder / "work",
            parallelism=1,
            tenants_file=tenants,
            **PORTS,  # type: ignore[arg-type]  # each is an int
        )
    )
    try:
        yield stack.up(only=PARTS)
    finally:
        stack.down(wipe=True)


def kind(event: Event) -> str:
    return type(event).__name__.lower()


def habit(user: str, until_ms: int, quiet_days: int) -> list[Event]:
    """Three logins a day for 40 days, of whose last `quiet_days` nothing was heard."""
    replay = Replay(until=until_ms)
    return [
        Login(event_id=f"{user}-{ts}", tenant="acme", user_id=user, ts=ts, replay=replay)
        for day in range(40, quiet_days, -1)
        for ts in (until_ms - day * DAY_MS + hour * HOUR_MS for hour in (1, 5, 9))
    ]


def message(user: str, ts: int) -> Support:
    text = "The export fails again and nobody answers. I am very disappointed."
    return Support(event_id=f"s-{user}", tenant="acme", user_id=user, ts=ts, text=text)


def failure(user: str, number: int, ts: int) -> Usage:
    return Usage(event_id=f"f{number}", tenant="acme", user_id=user, ts=ts, feature="export", outcome="error")


def test_a_message_and_a_burst_of_errors_of_users_who_faded_are_decided_on(settings: Settings) -> None:
    now_ms = int(time.time() * 1000)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)

    def send(*events: Event) -> None:
        for event in events:
            producer.send(TOPIC_OF_KIND[kind(event)].name, key=event.key.encode(), value=encode(event))
        producer.flush()

    past = [habit("faded", now_ms, 12), habit("failing", now_ms, 12), habit("steady", now_ms, 0)]
    send(*(event for habits in past for event in habits))
    tick = encode(Tick(ts=now_ms + settings.watermark_bound_ms + 1, replay=Replay(until=now_ms)))
    for topic in EVENT_TOPICS:
        for partition in range(PARTITIONS):
            producer.send(topic.name, key=TICK_KEY, value=tick, partition=partition)
    producer.flush()
    Rest(settings.flink_port).wait_watermark(now_ms, _WAIT_S)
    wait_for_redis(settings.redis_url, (habits[-1] for habits in past))

    now_ms = int(time.time() * 1000)
    with (
        reading(settings.bootstrap_servers, DECISIONS, from_beginning=False) as decisions,
        reading(settings.bootstrap_servers, RISKS, from_beginning=False) as risks,
    ):
        send(*(message(user, now_ms) for user in ("stranger", "steady", "faded")))
        send(message("faded", now_ms))
        send(*(failure("failing", number, now_ms + number) for number in range(4)))
        assessed: dict[tuple[str, str], Risk] = {}
        for risk in until(4, lambda: decoded(risks, Risk)):
            assessed.setdefault((risk.user_id, risk.event_id), risk)  # its copy follows
        by_user = {
            decision.user_id: decision
            for decision in until(
                2, lambda: (one for one in decoded(decisions, Decision) if one.cause is Cause.RISK)
            )
        }
    producer.close()

    assert assessed.keys() == {("steady", "s-steady"), ("faded", "s-faded"), ("failing", "f2")}
    assert by_user.keys() == {"faded", "failing"}
    for user, trigger in (("faded", Trigger.SUPPORT), ("failing", Trigger.ERRORS)):
        decision = by_user[user]
        risk = next(risk for (name, _), risk in assessed.items() if name == user)
        assert decision.risk is not None and decision.risk.trigger is trigger
        assert decision.risk.probability == risk.assessment.probability > 0.05
        assert decision.risk.reasons == risk.assessment.reasons != ()
        assert (decision.at, decision.timing.detected_ms) == (risk.at, risk.detected_ms)
        assert decision.from_tier is decision.to_tier
        assert decision.outcome is Outcome.SENT and decision.script is not None
        assert list(decision.timing.steps)[:2] == ["assess", "queue"]
    sentiment = assessed["faded", "s-faded"].assessment.sentiment
    assert sentiment is not None and sentiment.negative > sentiment.positive


def wait_for_redis(url: str, events: Iterable[Event]) -> None:
    """Wait until each of the events is the last of its user in Redis."""
    until_s = time.monotonic() + _WAIT_S
    with redis.Redis.from_url(url) as client:
        for event in events:
            while event.event_id.encode() not in (client.lindex(f"events:{event.key}", -1) or b""):
                assert time.monotonic() < until_s, f"{event} is not in Redis"
                time.sleep(0.5)


def decoded(reader: Reader, kind: type[Kind]) -> Iterator[Kind]:
    """What has come."""
    return (msgspec.json.decode(record.value or b"", type=kind) for record in reader.poll())


def until(count: int, come: Callable[[], Iterable[Kind]]) -> list[Kind]:
    """What comes, once it is `count`."""
    found: list[Kind] = []
    until_s = time.monotonic() + _WAIT_S
    while len(found) < count:
        assert time.monotonic() < until_s, f"{len(found)} came, not {count}"
        found += come()
    return found
