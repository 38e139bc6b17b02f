"""The real servers: up, killed, up again, and their state across it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.errors import InputError, UnavailableError
from schemas.topics import LOGIN, MAX_RECORD_BYTES, TOPICS
from streams import topics
from streams.embedded import Stack
from streams.settings import Settings, load_settings
from streams.topics import READY_WITHIN_S, answers, ensure_topics

pytestmark = pytest.mark.real

SERVERS = ("broker", "redis")
# Not the defaults: a stack that somebody runs on this machine is left alone.
PORTS = {
    "broker_port": 19192,
    "controller_port": 19193,
    "redis_port": 19379,
    "triton_grpc_port": 19101,
    "triton_http_port": 19100,
    "triton_metrics_port": 19102,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    work_dir = tmp_path_factory.mktemp("stack")
    stack = Stack(Settings(work_dir=work_dir, **PORTS))  # type: ignore[arg-type]  # each is an int
    stack.up(only=SERVERS)
    yield stack
    stack.down(wipe=True)


def states(stack: Stack) -> dict[str, str]:
    return {status.name: status.state for status in stack.status() if status.name in SERVERS}


def kill(stack: Stack, name: str) -> None:
    (pid,) = [status.pid for status in stack.status() if status.name == name]
    assert pid is not None
    victim = psutil.Process(pid)
    victim.send_signal(signal.SIGKILL)
    victim.wait()


def test_broker_and_redis_serve(stack: Stack) -> None:
    assert states(stack) == dict.fromkeys(SERVERS, "running")


def test_the_topics_are_there_with_the_settings_of_the_table(stack: Stack) -> None:
    admin = KafkaAdminClient(bootstrap_servers=stack.settings.bootstrap_servers)
    partitions = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, None) for topic in TOPICS]
    configs = admin.describe_configs(resources)["topic"]
    admin.close()

    for topic in TOPICS:
        assert partitions[topic.name] == topic.partitions
        stamp = {"broker": "LogAppendTime", "producer": "CreateTime"}[topic.stamp]
        assert configs[topic.name]["message.timestamp.type"]["value"] == stamp
        assert configs[topic.name]["max.message.bytes"]["value"] == str(topic.max_bytes)
        assert configs[topic.name]["retention.ms"]["value"] == str(topic.retention_ms)


def test_creating_the_topics_again_changes_nothing(stack: Stack) -> None:
    assert ensure_topics(stack.settings.bootstrap_servers) == []


def test_a_topic_with_other_partitions_than_the_table_is_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "TOPICS", (msgspec.structs.replace(LOGIN, partitions=9),))

    with pytest.raises(InputError, match=f"{LOGIN.name} has 8 partitions, 9 are needed"):
        ensure_topics(stack.settings.bootstrap_servers)


def test_a_topic_that_keeps_the_producers_clock_is_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = msgspec.structs.replace(LOGIN, name="stray", partitions=1)
    admin = KafkaAdminClient(bootstrap_servers=stack.settings.bootstrap_servers)
    admin.create_topics({stray.name: {"num_partitions": 1}})
    admin.wait_for_topics([stray.name], timeout_ms=READY_WITHIN_S * 1000)
    admin.close()
    monkeypatch.setattr(topics, "TOPICS", (stray,))

    with pytest.raises(InputError, match=r"stray has message.timestamp.type=CreateTime: set it to"):
        ensure_topics(stack.settings.bootstrap_servers)


def test_a_broker_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(UnavailableError, match=r"^Kafka at 127.0.0.1:1 does not answer[^\n]*$"):
        ensure_topics("127.0.0.1:1")


def test_what_is_no_broker_is_told_from_one(stack: Stack) -> None:
    assert answers(stack.settings.bootstrap_servers)
    assert not answers(f"127.0.0.1:{stack.settings.redis_port}", timeout_s=0.5)
    with pytest.raises(InputError, match="expected host:port"):
        ensure_topics("kafka.example")


def test_what_was_published_survives_a_kill_of_the_broker(stack: Stack) -> None:
    large = b"x" * (MAX_RECORD_BYTES - 1024)
    producer = KafkaProducer(
        bootstrap_servers=stack.settings.bootstrap_servers, acks="all", max_request_size=MAX_RECORD_BYTES
    )
    producer.send(LOGIN.name, large, partition=3).get(timeout=30)
    producer.close()

    kill(stack, "broker")
    assert states(stack)["broker"] == "stopped"
    stack.up(only=SERVERS)

    consumer = KafkaConsumer(bootstrap_servers=stack.settings.bootstrap_servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(LOGIN.name, 3)])
    record = next(consumer)
    consumer.close()
    assert record.value == large


@pytest.mark.parametrize("name", ["redis", "triton"])
def test_a_killed_server_comes_back_and_the_others_are_left_alone(stack: Stack, name: str) -> None:
    stack.up(only=[name])
    before = {status.name: (status.pid, status.ports) for status in stack.status()}
    kill(stack, name)

    stack.up(only=[*SERVERS, name])

    after = {status.name: (status.pid, status.ports) for status in stack.status()}
    assert after[name][0] != before[name][0] and after[name][1] == before[name][1]
    assert {k: v for k, v in after.items() if k != name} == {k: v for k, v in before.items() if k != name}
    assert states(stack) == dict.fromkeys(SERVERS, "running")


def test_redis_keeps_its_content_across_down_and_up(stack: Stack) -> None:
    with redis.Redis.from_url(stack.settings.redis_url) as client:
        client.set("kept", "yes")

    stack.down(only=["redis"])
    stack.up(only=["redis"])

    with redis.Redis.from_url(stack.settings.redis_url) as client:
        assert client.get("kept") == b"yes"


def test_without_the_jars_one_line_says_what_to_do(tmp_path: Path) -> None:
    settings = load_settings({"HOLDFAST_WORK_DIR": str(tmp_path), "HOLDFAST_JARS_DIR": str(tmp_path)})

    with pytest.raises(UnavailableError, match=r"^the broker's jars are not in [^\n]*: run make setup$"):
        Stack(settings).up(only=["broker"])


@pytest.mark.parametrize(("name", "program"), [("broker", "java"), ("redis", "redis-server")])
def test_without_a_program_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, program: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    with pytest.raises(UnavailableError, match=f"^{program} is not installed: run make setup"):
        Stack(load_settings({"HOLDFAST_WORK_DIR": str(tmp_path)})).up(only=[name])
