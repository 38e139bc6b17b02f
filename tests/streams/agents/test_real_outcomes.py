"""Outcomes joined on real servers: before and after their decision, and when Redis has lost everything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import redis
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from schemas.codec import encode
from schemas.feedback import Feedback
from schemas.topics import DECISIONS, FEEDBACK, OUTCOMES
from schemas.vocabulary import Tier
from streams.cli import app
from streams.consumer import reading
from streams.embedded import Stack
from streams.examples import read_examples
from streams.rules import publish_rules, read_rules
from streams.settings import Settings
from tests.streams.agents.test_outcomes import DECISION, REPLY
from tests.streams.test_learning import RULES, world
from tests.streams.test_worked import world as scripts

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


def test_outcomes_that_are_sent_become_weights_that_hold(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    decisions, came = world(2_000, {Tier.HIGH: (0.1, 0.3)}, simulated=True)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")
    for decision in decisions:
        key = f"{decision.tenant}/{decision.user_id}".encode()
        producer.send(DECISIONS.name, key=key, value=encode(decision))
    producer.close()
    publish_rules(settings.bootstrap_servers, [RULES])
    file = tmp_path / "outcomes.jsonl"
    file.write_bytes(b"".join(encode(one.outcome) + b"\n" for one in came))

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    assert json.loads(said("outcomes", "send", str(file), "--json")) == {"sent": len(came)}
    keys = {one.key for one in came}
    feedback(settings, lambda times: keys <= times.keys())
    report = json.loads(said("outcomes", "report", "--simulated", "--json"))
    answered = sum(round(one["response"]["value"] * one["sent"]) for one in report["groups"])
    assert report["simulated"] and answered == len(came)

    words = ("bandit", "update", "--tenant", "acme", "--experiment", "offers", "--apply", "--json")
    refused = CliRunner().invoke(app, [*words, "--at-risk", "0"])  # one real answer proves nothing
    assert refused.exit_code == 1 and json.loads(refused.stdout)["published"] is None
    learned = json.loads(said(*words, "--simulated"))
    newest = read_rules(settings.bootstrap_servers).versions[-1]
    assert newest.version == learned["published"]
    assert newest.of("acme").experiments[0].weights(Tier.HIGH, "pro") == (0.05, 0.95)


def test_scripts_that_worked_are_published_and_go_by_their_version(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    decisions, came = scripts(simulated=True)
    theirs = {one.id: msgspec.structs.replace(one, tenant="shop", id=f"shop-{one.id}") for one in decisions}
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")
    for decision in theirs.values():
        key = f"shop/{decision.user_id}".encode()
        producer.send(DECISIONS.name, key=key, value=encode(decision))
    for one in came:
        outcome = msgspec.structs.replace(
            one.outcome, tenant="shop", decision_id=f"shop-{one.outcome.decision_id}"
        )
        producer.send(OUTCOMES.name, key=outcome.key.encode(), value=encode(outcome))
    producer.close()
    feedback(settings, lambda times: sum(key.startswith("shop/") for key in times) == len(came))

    def done(*words: str) -> Result:
        return CliRunner().invoke(app, ["examples", *words, "--tenant", "shop", "--json"])

    assert done("update", "--apply").exit_code == 1, "no real outcome has been reported"
    first = json.loads(done("update", "--apply", "--simulated").stdout)["published"]
    assert first.startswith("simulated-")
    assert json.loads(done("use", "none").stdout)["holds"] != first
    assert json.loads(done("use", first).stdout)["holds"] == first
    shown = json.loads(done("show").stdout)
    assert (shown["holds"], len(shown["versions"]), len(shown["examples"]["examples"])) == (first, 2, 1)
    assert read_examples(settings.bootstrap_servers).of("acme") is None


def test_who_follows_from_a_time_on_gets_what_was_decided_since_and_what_comes(settings: Settings) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")

    def decide(name: str) -> int:
        decision = msgspec.structs.replace(DECISION, id=name, tenant="follow")
        sent = producer.send(DECISIONS.name, key=b"follow/u1", value=encode(decision))
        return int(sent.get(timeout=_WAIT_S).timestamp)

    before_ms = decide("before")
    time.sleep(0.05)
    decide("since")
    since = ("--since", str(before_ms + 1), "--tenant", "follow")
    words = [sys.executable, "-m", "streams.cli", "decisions", "--follow", "--json", *since]
    env = os.environ | {"HOLDFAST_BOOTSTRAP_SERVERS": settings.bootstrap_servers}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as follower:
        assert follower.stdout is not None
        try:
            assert json.loads(follower.stdout.readline())["id"] == "since"
            decide("after")
            assert json.loads(follower.stdout.readline())["id"] == "after"
            follower.send_signal(signal.SIGINT)
            assert follower.wait(_WAIT_S) == 0
        finally:
            follower.kill()  # where it did not end, the block would wait for it for ever
    producer.close()
