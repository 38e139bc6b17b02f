"""The engines that run the main job, behind one face, and a history to feed them."""

import itertools
import random
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.codec import encode
from schemas.events import Event, Login, Replay, Tick, Usage
from schemas.policy import RuleBook, Rules
from schemas.tenant import Offer, Tenant
from schemas.topics import EVENT_TOPICS, MAX_RECORD_BYTES, PARTITIONS, RULES, TICK_KEY
from schemas.vocabulary import Locale, Strategy
from streams.embedded import Stack
from streams.flink.rest import Rest
from streams.memory import Memory
from streams.settings import Settings
from streams.tenants import Tenants

# Not the defaults: a stack that somebody runs on this machine is left alone.
PORTS = {"broker_port": 19292, "controller_port": 19293, "flink_port": 19281}
HOUR_MS = 3_600_000
LEAD_MS = 600_000
_WAIT_S = 240.0
# Event time never goes back on a running job, so each history begins after the one before.
_begins = itertools.count(1_600_000_000_000, 200 * 24 * HOUR_MS)


OFFER = Offer(id="gift", strategy=Strategy.RETENTION_OFFER, text={Locale.EN: "a free month"})
TENANTS = {"offering": Tenant(product="Offering", offers=(OFFER,))}
"""A tenant with an offer to make; the others are known by their names only."""
_HEARD_S = 3.0
"""The job hears of new rules within half a second; this is for a busy machine."""


class Published(NamedTuple):
    """A record that has come out."""

    key: bytes | None
    value: bytes


class Engine(Protocol):
    """An engine that runs the main job: what goes in, and what has come out."""

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """A record arrives."""

    def rule(self, rules: Rules) -> None:
        """A version of the rules is published, and the engine has heard of it."""

    def carry_on(self, until_ms: int) -> None:
        """Event time is carried on to `until_ms`, and all that this leads to is published."""

    def fail(self) -> None:
        """It dies without warning, and goes on from its newest checkpoint."""

    def published(self, topic: str) -> list[Published]:
        """What has come out."""


class InMemory:
    """The engine of dry runs."""

    def __init__(self) -> None:
        self.engine = Memory(Tenants(TENANTS), now_ms=1_800_000_000_000, lead_ms=LEAD_MS)

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self.engine.send(topic, key, value)

    def rule(self, rules: Rules) -> None:
        self.engine.book = RuleBook((*self.engine.book.versions, rules))

    def carry_on(self, until_ms: int) -> None:
        self.engine.tick(until_ms + self.engine.bound_ms + 1)

    def fail(self) -> None:
        self.engine.restore(self.engine.checkpoint())

    def published(self, topic: str) -> list[Published]:
        return [Published(record.key, record.value) for record in self.engine.published(topic)]


class OnFlink:
    """The real thing: broker, Flink, and the job as `holdfast up` starts it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._bound_ms = stack.settings.watermark_bound_ms
        self._servers = stack.settings.bootstrap_servers
        self._producer = KafkaProducer(
            bootstrap_servers=self._servers, max_request_size=MAX_RECORD_BYTES, linger_ms=5
        )

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self._producer.send(topic, key=key, value=value)

    def rule(self, rules: Rules) -> None:
        self._producer.send(RULES.name, key=rules.version.encode(), value=encode(rules))
        self._producer.flush()
        time.sleep(_HEARD_S)

    def tick(self, until_ms: int) -> None:
        self._producer.flush()
        tick = encode(Tick(ts=until_ms + self._bound_ms + 1, replay=Replay(until=until_ms)))
        for topic in EVENT_TOPICS:
            for partition in range(PARTITIONS):
                self._producer.send(topic.name, key=TICK_KEY, value=tick, partition=partition)
        self._producer.flush()

    def carry_on(self, until_ms: int) -> None:
        self.tick(until_ms)
        rest = Rest(self.stack.settings.flink_port)
        rest.wait_watermark(until_ms, _WAIT_S)
        at = rest.checkpoint_triggered_ms() or 0
        rest.wait_checkpoint_after(at, _WAIT_S)  # a checkpoint flushes what the producer still holds

    def fail(self) -> None:
        self.kill("flink")
        Rest(self.stack.settings.flink_port).wait_running(_WAIT_S)

    def kill(self, component: str) -> None:
        """SIGKILL, and up again."""
        self._producer.flush()
        (pid,) = [status.pid for status in self.stack.status() if status.name == component]
        assert pid is not None
        main = psutil.Process(pid)
        family = [main, *main.children(recursive=True)]
        main.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs(family, timeout=30)
        assert not left, "its JVM and Python workers end with it"
        self.stack.up(only=(component,))

    def published(self, topic: str) -> list[Published]:
        consumer = KafkaConsumer(
            bootstrap_servers=self._servers,
            fetch_max_bytes=2 * MAX_RECORD_BYTES,
            max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
        )
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(partitions)
            found: list[Published] = []
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                for records in consumer.poll(timeout_ms=100).values():
                    found += [Published(record.key, record.value) for record in records]
            return found
        finally:
            consumer.close()

    def close(self) -> None:
        self._producer.close()


@pytest.fixture(scope="session")
def on_flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnFlink]:
    """The main job on a broker of its own, for all tests of a run."""
    work_dir = tmp_path_factory.mktemp("flink")
    tenants_file = work_dir / "tenants.json"
    tenants_file.write_bytes(encode(TENANTS))
    settings = Settings(
        work_dir=work_dir,
        tenants_file=tenants_file,
        parallelism=1,
        draft_lead_ms=LEAD_MS,
        checkpoint_interval_ms=1000,
        **PORTS,  # type: ignore[arg-type]  # each is an int
    )
    stack = Stack(settings)
    stack.up(only=("broker", "sieve", "flink"))
    Rest(stack.settings.flink_port).wait_running(_WAIT_S)
    engine = OnFlink(stack)
    yield engine
    engine.close()
    stack.down(wipe=True)


@pytest.fixture(params=["memory", pytest.param("flink", marks=pytest.mark.real)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn: a test that takes it holds on all of them."""
    found: Engine = InMemory() if request.param == "memory" else request.getfixturevalue("on_flink")
    return found


class History(Protocol):
    """Makes the events of some users of a tenant over 75 days, as a replay of them, and where it ends."""

    def __call__(self, tenant: str, seed: int, compose: bool = False) -> tuple[list[Event], int]: ...


@pytest.fixture
def history() -> History:
    """A history that begins after all those before."""

    def make(tenant: str, seed: int, compose: bool = False) -> tuple[list[Event], int]:
        rnd = random.Random(seed)
        begin = next(_begins) + rnd.randrange(HOUR_MS)
        until_ms = begin + 110 * 24 * HOUR_MS
        events: list[Event] = []
        for user in range(30):
            daily, leaves = rnd.choice((2, 4, 8)), rnd.randint(20, 75)
            for day in range(75):
                if day > leaves and rnd.random() < 0.9:
                    continue
                for _ in range(daily):
                    common = {
                        "event_id": f"e{len(events)}",
                        "tenant": tenant,
                        "user_id": f"u/{user}☂",
                        "ts": begin + day * 24 * HOUR_MS + rnd.randrange(24 * HOUR_MS),
                        "replay": Replay(until=until_ms, compose=compose),
                    }
                    kind = rnd.random() < 0.2
                    events.append(Login(**common) if kind else Usage(**common, feature="export"))
        events.sort(key=lambda event: event.ts + rnd.randrange(1000))
        twice = [event for event in events for _ in range(1 + (rnd.random() < 0.01))]
        return twice, until_ms

    return make
