"""Creates the topics of the one table of topics on a broker, embedded or your own."""

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.errors import HoldfastError, InputError, UnavailableError
from schemas.topics import TOPICS, Topic
from streams.settings import load_settings

TIMEOUT_S = 10.0
_SEGMENT_MS = 3_600_000
"""Of a compacted topic nothing is cleaned in the part that is written: a new one is begun each hour."""
_STAMP = "message.timestamp.type"
_STAMPS = {"broker": "LogAppendTime", "producer": "CreateTime"}
READY_WITHIN_S = 60.0
"""A topic that was created has its leaders by then, on however busy a machine."""

# The smallest question that Kafka answers (its length, ApiVersions, version 0, correlation id, no client id);
# the answer begins with its length and the same correlation id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 0x686F6C64, -1)


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
            admin.wait_for_topics([topic.name for topic in missing], timeout_ms=READY_WITHIN_S * 1000)
    return [topic.name for topic in missing]


def answers(bootstrap_servers: str, timeout_s: float = 1.0) -> bool:
    """Whether a broker answers a request within about `timeout_s`.

    Raises:
        InputError: an address is not `host:port`.
    """
    try:
        knock(bootstrap_servers, timeout_s)
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
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "max.message.bytes": str(topic.max_bytes),
        _STAMP: _STAMPS[topic.stamp],
        "retention.ms": str(topic.retention_ms),
    }
    if topic.compacted:
        configs |= {"segment.ms": str(_SEGMENT_MS), "min.cleanable.dirty.ratio": "0.1"}
    return {"num_partitions": topic.partitions, "configs": configs}


def _check(admin: KafkaAdminClient, partitions: dict[Topic, int]) -> None:
    for topic, count in partitions.items():
        if count != topic.partitions:
            raise InputError(f"topic {topic.name} has {count} partitions, {topic.partitions} are needed")
    if not partitions:
        return
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, {_STAMP: None}) for topic in partitions]
    described = admin.describe_configs(resources, config_filter="all")[ConfigResourceType.TOPIC.name.lower()]
    for topic in partitions:
        found, wanted = described[topic.name][_STAMP]["value"], _STAMPS[topic.stamp]
        if found != wanted:
            raise InputError(
                f"topic {topic.name} has {_STAMP}={found}: set it to {wanted}, "
                "since lateness and the budget are counted from the broker's clock"
            )


@contextmanager
def _admin(bootstrap_servers: str) -> Iterator[KafkaAdminClient]:
    timeout_ms = int(TIMEOUT_S * 1000)
    knock(bootstrap_servers, TIMEOUT_S)
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


def knock(bootstrap_servers: str, timeout_s: float = 1.0) -> None:
    """Fail at once where no broker answers: the clients would try again and again until their time is over.

    Raises:
        UnavailableError: no broker answers within about `timeout_s`.
        InputError: an address is not `host:port`.
    """
    problem: Exception | None = None
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not port.isdecimal():
            raise InputError(f"{server!r} is no address of a broker, expected host:port")
        try:
            with socket.create_connection((host, int(port)), timeout_s) as connection:
                connection.sendall(_API_VERSIONS)
                if connection.recv(8)[4:] == _API_VERSIONS[8:12]:
                    return
                problem = ConnectionError("what listens there is no Kafka")
        except OSError as error:
            problem = error
    raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {problem}")


def main() -> None:
    """Create what is missing on the broker of the settings; exit status 1 where that cannot be done."""
    try:
        created = ensure_topics(load_settings().bootstrap_servers)
    except HoldfastError as error:
        sys.exit(f"topics: {error}")
    print(f"topics: created {', '.join(created)}" if created else "topics: all there")


if __name__ == "__main__":
    main()
