"""One Kafka node in KRaft mode, broker and controller at once, from the jars that the pom.xml names."""

import os
import shutil
import subprocess
from pathlib import Path

from schemas.errors import UnavailableError
from schemas.topics import TOPICS
from streams.embedded.component import Component, Launch
from streams.realtime import Turn
from streams.settings import Settings
from streams.topics import answers, ensure_topics

_CLUSTER_ID = "aG9sZGZhc3QtZW1iZWRkZQ"  # 16 bytes in base64, as Kafka wants a cluster's id
_HEAP = ("-Xms512m", "-Xmx512m")  # whole from the start: a heap that grows is collected ten times as often
_OVERHEAD_BYTES = 64 * 1024

_LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
"""


def java() -> str:
    """The java program.

    Raises:
        UnavailableError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise UnavailableError("java is not installed: run make setup, or install openjdk-17-jre-headless")
    return found


def launch(settings: Settings) -> Launch:
    """Write the broker's configuration, format its storage the first time, and give its command.

    Raises:
        UnavailableError: java or the jars are missing, or the storage cannot be formatted.
    """
    jars = settings.jars_dir / "broker"
    if not any(jars.glob("kafka_2.13-*.jar")):
        raise UnavailableError(f"the broker's jars are not in {jars}: run make setup")
    folder = settings.work_dir / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    properties, logging = folder / "server.properties", folder / "log4j2.properties"
    properties.write_text(_properties(settings, folder / "data"), encoding="utf-8")
    logging.write_text(_LOGGING, encoding="utf-8")
    jvm = [java(), *_HEAP, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
    if not (folder / "data" / "meta.properties").exists():
        _format(jvm, properties)
    return Launch([*jvm, "kafka.Kafka", str(properties)], dict(os.environ))


def _format(jvm: list[str], properties: Path) -> None:
    options = ("--standalone", "--ignore-formatted", "--cluster-id", _CLUSTER_ID, "--config", str(properties))
    done = subprocess.run(
        [*jvm, "kafka.tools.StorageTool", "format", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"the broker's storage cannot be formatted: {words[-1] if words else ''}")


def _properties(settings: Settings, data: Path) -> str:
    max_bytes = max(topic.max_bytes for topic in TOPICS) + _OVERHEAD_BYTES
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{settings.controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{settings.broker_port},"
        f"CONTROLLER://127.0.0.1:{settings.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{settings.broker_port},"
        f"CONTROLLER://127.0.0.1:{settings.controller_port}",
        "log.dirs": data,
        # A name that is spelt wrong is an error then, and no topic with one partition.
        "auto.create.topics.enable": "false",
        "message.max.bytes": max_bytes,
        "replica.fetch.max.bytes": max_bytes,
        "log.retention.ms": -1,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def check(settings: Settings) -> str | None:
    """None when the broker answers."""
    return None if answers(settings.bootstrap_servers) else f"no answer at {settings.bootstrap_servers}"


def create_topics(settings: Settings) -> None:
    """Create what is missing of the topics."""
    ensure_topics(settings.bootstrap_servers)


BROKER = Component(
    name="broker",
    launch=launch,
    check=check,
    ready=create_topics,
    ports=("broker_port", "controller_port"),
    address="bootstrap_servers",
    healthy_within_s=120.0,
    stops_within_s=20.0,
    turn=Turn.FIRST,
)
