"""Creates the topics of the one table of topics on a broker, embedded or your own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.errors import InputError, UnavailableError
from schemas.topics import TOPICS, Topic

TIMEOUT_S = 10.0


def ensure_topics(bootstrap_servers: str) -> list[str]:
    """Create the topics that are missing, and give their names. Calling it again changes nothing.

    A topic that is there keeps its own retention and size limit.

    Raises:
        UnavailableError: the broker does not answer, or does not let us create topics.
        InputError: a topic that is there cannot be used, for its partitions or its timestamps.
    """
    with _admin(bootstrap_servers) as admin:
        there = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
        missing = [topic for topic in TOPICS if topic.name not in there]
        _check(admin, {topic: there[topic.name] for topic in TOPICS if topic.name in there})
        if missing:
            try:
                admin.create_topics({topic.name: _creation(topic) for topic in missing})
            except TopicAlreadyExistsError:
                return ensure_topics(bootstrap_servers)  # another process was faster
            admin.wait_for_topics([topic.name for topic in missing])
    return [topic.name for topic in missing]


def answers(bootstrap_servers: str, timeout_s: float = 1.0) -> bool:
    """Whether a broker answers a request within about `timeout_s`."""
    try:
        with _admin(bootstrap_servers, timeout_s) as admin:
            admin.describe_cluster()
    except UnavailableError:
        return False
    return True


def group_state(bootstrap_servers: str, group: str) -> str:
    """The state of a consumer group, in Kafka's words; `Stable` is one whose members have their partitions.

    Raises:
        UnavailableError: the broker does not answer.
    """
    with _admin(bootstrap_servers) as admin:
        return str(admin.describe_groups([group])[group]["group_state"])


def _creation(topic: Topic) -> dict[str, Any]:
    configs = {
        "cleanup.policy": "delete",
        "max.message.bytes": str(topic.max_bytes),
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(topic.retention_ms),
    }
    return {"num_partitions": topic.partitions, "configs": configs}


def _check(admin: KafkaAdminClient, partitions: dict[Topic, int]) -> None:
    for topic, count in partitions.items():
        if count != topic.partitions:
            raise InputError(f"topic {topic.name} has {count} partitions, {topic.partitions} are needed")
    if not partitions:
        return
    name = "message.timestamp.type"
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, {name: None}) for topic in partitions]
    described = admin.describe_configs(resources, config_filter="all")
    for topic, configs in described[ConfigResourceType.TOPIC.name.lower()].items():
        if configs[name]["value"] != "LogAppendTime":
            raise InputError(
                f"topic {topic} has {name}={configs[name]['value']}: set it to LogAppendTime, "
                "since lateness and the budget are counted from the broker's clock"
            )


@contextmanager
def _admin(bootstrap_servers: str, timeout_s: float = TIMEOUT_S) -> Iterator[KafkaAdminClient]:
    timeout_ms = int(timeout_s * 1000)
    _knock(bootstrap_servers, timeout_s)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap_servers.split(","),
            bootstrap_timeout_ms=timeout_ms,
            request_timeout_ms=timeout_ms,
        )
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {error}") from error


def _knock(bootstrap_servers: str, timeout_s: float) -> None:
    """Fail at once where nobody listens: the client would try again and again until its time is over."""
    problem: OSError | None = None
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout_s).close()
        except ValueError:
            raise InputError(f"{server!r} is no address of a broker, expected host:port") from None
        except OSError as error:
            problem = error
        else:
            return
    raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {problem}")
