"""Composer and ticker as `holdfast up` starts them, on a broker and a Redis of their own; Triton is away."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from typer.testing import CliRunner

from operators.tier import activity
from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision, decision_id
from schemas.errors import InputError
from schemas.events import Account, Login, Replay, Tick
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.topics import (
    CROSSINGS,
    DECISIONS,
    EVENT_TOPICS,
    INTERVENTIONS,
    LOGIN,
    OUTCOMES,
    PARTITIONS,
    REJECTED,
    TICK_KEY,
    Topic,
)
from schemas.vocabulary import Cause, Outcome, Rung
from streams.cli import app
from streams.embedded import Stack
from streams.gathering import gather
from streams.settings import Settings
from tests import records

pytestmark = pytest.mark.real

# Not the defaults: a stack that somebody runs on this machine is left alone. No Triton listens on port 9.
PORTS = {"broker_port": 19492, "controller_port": 19493, "redis_port": 19479, "triton_grpc_port": 9}
_WAIT_S = 60.0
README = Path(__file__).parents[3] / "README.md"
CONSUMING = Path(__file__).parents[3] / "docs" / "examples" / "consuming"


class Servers:
    """The stack, and what a test asks of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.servers = stack.settings.bootstrap_servers
        self._producer = KafkaProducer(bootstrap_servers=self.servers)

    def send(self, topic: Topic, key: bytes | None, value: bytes) -> None:
        self._producer.send(topic.name, key=key, value=value).get(timeout=_WAIT_S)

    def records(self, topic: Topic) -> list[ConsumerRecord]:
        consumer = KafkaConsumer(bootstrap_servers=self.servers)
        try:
            partitions = [TopicPartition(topic.name, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(partitions)
            found: list[ConsumerRecord] = []
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                for records in consumer.poll(timeout_ms=100).values():
                    found += records
            return found
        finally:
            consumer.close()

    def close(self) -> None:
        self._producer.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    settings = Settings(
        work_dir=tmp_path_factory.mktemp("agents"),
        **PORTS,  # type: ignore[arg-type]  # each is an int
    )
    stack = Stack(settings)
    try:
        stack.up(only=("broker", "redis", "composer", "outcomes", "ticker"))
        servers = Servers(stack)
        yield servers
        servers.close()
    finally:
        stack.down(wipe=True)


def eventually(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _WAIT_S
    while not holds():
        assert time.monotonic() < until_s, "it did not come to that"
        time.sleep(0.2)


def crossing(name: str, user: str) -> Crossing:
    ann = Account(event_id="a1", tenant="acme", user_id=user, ts=1, name="Ann")
    return records.crossing(id=name, user_id=user, account=ann, detected_ms=time.time() * 1000)


def ids(servers: Servers, topic: Topic) -> list[str]:
    return [msgspec.json.decode(record.value, type=Decision).id for record in servers.records(topic)]


def test_each_crossing_is_composed_and_sent_whatever_lies_between_them(servers: Servers) -> None:
    names = [f"c{number}" for number in range(20)]
    for number, name in enumerate(names):
        servers.send(CROSSINGS, f"acme/u{number}".encode(), encode(crossing(name, f"u{number}")))
        if number % 5 == 0:
            servers.send(CROSSINGS, b"acme/poison", b"\xff{")
    eventually(lambda: set(ids(servers, DECISIONS)) == set(names))
    eventually(lambda: set(ids(servers, INTERVENTIONS)) == set(names))
    record = servers.records(DECISIONS)[0]
    decision = msgspec.json.decode(record.value, type=Decision)
    assert record.key == f"acme/{decision.user_id}".encode()
    assert decision.outcome is Outcome.SENT
    assert decision.script is not None and decision.script.rung is Rung.TEMPLATE
    assert "Ann" in decision.script.text

    dead = [msgspec.json.decode(record.value, type=DeadLetter) for record in servers.records(REJECTED)]
    assert [(letter.topic, letter.value) for letter in dead] == [(CROSSINGS.name, b"\xff{")] * 4


def test_the_consumer_of_the_readme_prints_what_is_sent(servers: Servers) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    servers.send(CROSSINGS, b"acme/reader", encode(crossing("read", "reader")))
    env = os.environ | {"HOLDFAST_BOOTSTRAP_SERVERS": servers.servers}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True
    ) as consumer:
        assert consumer.stdout is not None
        line = next(line for line in consumer.stdout if line.startswith("reader "))
        consumer.kill()
    assert line.startswith("reader high template ") and "Ann" in line


def test_a_decision_is_explained_and_done_again_from_what_the_topics_have(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = decision_id("acme", "told", Cause.DECLINE, 1_700_000_000_000)
    asked = msgspec.structs.replace(crossing(name, "told"), tenure=960, activity=activity(6, 21.0))
    servers.send(CROSSINGS, b"acme/told", encode(asked))
    eventually(lambda: name in ids(servers, INTERVENTIONS))
    opened = UserOutcome(
        outcome_id="o1",
        decision_id=name,
        tenant="acme",
        user_id="told",
        kind=OutcomeKind.OPENED,
        ts=1_700_000_000_001,
    )
    servers.send(OUTCOMES, b"acme/told", encode(opened))
    monkeypatch.setenv("HOLDFAST_BOOTSTRAP_SERVERS", servers.servers)
    monkeypatch.setenv("HOLDFAST_REDIS_URL", servers.stack.settings.redis_url)
    done = CliRunner().invoke(app, ["explain", name, "--json"])
    told = msgspec.json.decode(done.stdout)
    assert not [check for check in told["checks"] if check["verdict"] == "differs"] and done.exit_code == 0
    story = told["story"]
    assert story["crossing"]["id"] == name and story["outcomes"][0]["kind"] == "opened"
    assert story["appended"]["crossing_ms"] <= story["appended"]["decision_ms"]
    same = {check["what"] for check in told["checks"] if check["verdict"] == "same"}
    assert {"id", "usual", "activity", "tier", "text of the template", "guard"} <= same
    assert (
        CliRunner().invoke(app, ["explain", name, "--user", "acme/told", "--events", "topics"]).exit_code == 0
    )
    with pytest.raises(InputError, match="no decision 'unknown' of acme/told"):
        gather(servers.stack.settings, "unknown", "acme/told", "redis", int(time.time() * 1000))


class _Hook(BaseHTTPRequestHandler):
    """Refuses the user `refused` for good, and takes `hooked` at the second try."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        name = self.headers["webhook-id"]
        decision = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])), type=Decision)
        is_first = name == "hook-hooked" and name not in self.asked
        self.asked.append(name)
        self.send_response(400 if decision.user_id == "refused" else 503 if is_first else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_examples_of_consuming_relay_report_and_read_again(servers: Servers) -> None:
    since_ms = int(time.time() * 1000)
    for user in ("hooked", "refused"):
        servers.send(CROSSINGS, f"acme/{user}".encode(), encode(crossing(f"hook-{user}", user)))
    eventually(lambda: {"hook-hooked", "hook-refused"} <= set(ids(servers, INTERVENTIONS)))
    hook = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    env = os.environ | {
        "HOLDFAST_BOOTSTRAP_SERVERS": servers.servers,
        "WEBHOOK_URL": f"http://127.0.0.1:{hook.server_port}/",
        "WEBHOOK_SECRET": "secret",
    }
    with subprocess.Popen(
        [sys.executable, CONSUMING / "webhook.py"], env=env, stdout=subprocess.PIPE, text=True
    ) as relay:
        assert relay.stdout is not None
        left, said = {"hook-hooked", "hook-refused"}, {}
        while left:
            name, _, what = relay.stdout.readline().partition(" ")
            said[name] = what.strip()
            left.discard(name)
        relay.kill()
    hook.shutdown()
    assert (said["hook-hooked"], said["hook-refused"]) == ("delivered", "HTTP 400")
    assert _Hook.asked.count("hook-hooked") == 2 and _Hook.asked.count("hook-refused") == 1

    def run(name: str, *given: str) -> str:
        command = [sys.executable, str(CONSUMING / name), *given]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    run("outcomes.py", "acme", "hooked", "hook-hooked", "clicked")
    (outcome,) = (record for record in servers.records(OUTCOMES) if record.key == b"acme/hooked")
    assert msgspec.json.decode(outcome.value, type=UserOutcome).kind is OutcomeKind.CLICKED
    again = [
        msgspec.json.decode(one, type=Decision).id for one in run("replay.py", str(since_ms)).splitlines()
    ]
    assert sorted(again) == ["hook-hooked", "hook-refused"]
    sent = len(servers.records(INTERVENTIONS))
    assert f"crm has {sent} records" in run("rewind.py", "crm", INTERVENTIONS.name, "0")
    assert "crm has 0 records" in run("rewind.py", "crm", INTERVENTIONS.name, str(2 * since_ms))


def test_redis_has_each_user_s_latest_decision(servers: Servers) -> None:
    servers.send(CROSSINGS, b"acme/ann", encode(crossing("first", "ann")))
    servers.send(CROSSINGS, b"acme/ann", encode(crossing("second", "ann")))
    client = redis.Redis.from_url(servers.stack.settings.redis_url)

    def is_there() -> bool:
        last = [record for record in servers.records(DECISIONS) if record.key == b"acme/ann"]
        return len(last) == 2 and client.get("decision:acme/ann") == last[-1].value

    eventually(is_there)
    client.close()


def test_event_time_is_carried_on_from_the_first_live_event_and_not_by_a_replay(servers: Servers) -> None:
    def ticks() -> dict[tuple[str, int], int]:
        counts: dict[tuple[str, int], int] = {}
        for topic in EVENT_TOPICS:
            for record in servers.records(topic):
                if b'"kind":"tick"' in record.value:
                    counts[topic.name, record.partition] = counts.get((topic.name, record.partition), 0) + 1
        return counts

    now_ms = int(time.time() * 1000)
    login = Login(event_id="e1", tenant="acme", user_id="u1", ts=now_ms)
    past = msgspec.structs.replace(login, event_id="e2", ts=5, replay=Replay(until=9))
    servers.send(LOGIN, b"acme/u1", encode(past))
    time.sleep(3)  # it looks each second
    assert ticks() == {}

    servers.send(LOGIN, b"acme/u1", encode(login))
    eventually(lambda: len(ticks()) == len(EVENT_TOPICS) * PARTITIONS and min(ticks().values()) >= 2)
    some = next(record for record in servers.records(LOGIN) if b"tick" in record.value)
    assert some.key == TICK_KEY
    assert msgspec.json.decode(some.value, type=Tick).ts >= now_ms
