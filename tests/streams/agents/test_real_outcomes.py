"""Outcomes joined on real servers: before and after their decision, and when Redis has lost everything."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest
import redis
from kafka import KafkaProducer

from schemas.codec import encode
from schemas.feedback import Feedback
from schemas.topics import DECISIONS, FEEDBACK, OUTCOMES
from streams.consumer import reading
from streams.embedded import Stack
from streams.settings import Settings
from tests.streams.agents.test_outcomes import DECISION, REPLY

pytestmark = pytest.mark.real

# Not the defaults: a stack that somebody runs on this machine is left alone.
PORTS = {"broker_port": 19592, "controller_port": 19593, "redis_port": 19579}
_WAIT_S = 60.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("outcomes")
    stack = Stack(
        Settings(work_dir=folder / "work", **PORTS)  # type: ignore[arg-type]  # each is an int
    )
    try:
        yield stack.up(only=("broker", "redis", "outcomes"))
    finally:
        stack.down(wipe=True)


def feedback(settings: Settings, until: Callable[[Counter[str]], bool]) -> dict[str, set[bytes]]:
    """The bytes under each key, as soon as `until` holds of how often each key is there."""
    deadline_s, times = time.monotonic() + _WAIT_S, Counter[str]()
    found: dict[str, set[bytes]] = {}
    with reading(settings.bootstrap_servers, FEEDBACK) as reader:
        while not until(times):
            assert time.monotonic() < deadline_s, f"so far {times}"
            for record in reader.poll():
                key, value = (record.key or b"").decode(), record.value or b""
                times[key] += 1
                found.setdefault(key, set()).add(value)
                assert msgspec.json.decode(value, type=Feedback).key == key
    return found


def test_outcomes_are_joined_and_a_redis_that_lost_all_is_built_anew(settings: Settings) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")

    def send(topic: str, record: object) -> None:
        producer.send(topic, key=b"acme/u1", value=encode(record))
        producer.flush()

    early, late = (msgspec.structs.replace(REPLY, outcome_id=name) for name in ("early", "late"))
    send(OUTCOMES.name, early)
    send(DECISIONS.name, DECISION)
    send(OUTCOMES.name, late)
    send(OUTCOMES.name, late)
    before = feedback(settings, lambda times: times.keys() == {"acme/early", "acme/late"})

    client = redis.Redis.from_url(settings.redis_url)
    client.flushall()
    client.close()
    after = feedback(settings, lambda times: times["acme/early"] > 1 and times["acme/late"] > 1)
    assert after == before, "what is done again gives the same bytes under the same keys"
    assert all(len(values) == 1 for values in after.values())

    send(OUTCOMES.name, msgspec.structs.replace(REPLY, outcome_id="new"))
    assert "acme/new" in feedback(settings, lambda times: "acme/new" in times)
