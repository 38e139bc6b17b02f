"""Carries event time on where no event does: a tick each second, into every partition of the events.

Only while the newest record on these topics, by the broker's append time, is a live one: a replay of
history brings its own ticks, and the present time among them would make all of the past late. For the
same reason none are sent into empty topics. A look costs one request for the ends of all partitions, and
the last record of those that grew.
"""

import logging
import sys
import time
from typing import NoReturn

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from schemas.codec import encode, parse
from schemas.errors import HoldfastError, RejectedEvent, UnavailableError
from schemas.events import Tick
from schemas.topics import EVENT_TOPICS, MAX_RECORD_BYTES
from streams.settings import load_settings
from streams.topics import ensure_topics

INTERVAL_S = 1.0
_LOOK_MS = 3000
_READ_S = 2.0
_SEND_S = 5.0

logger = logging.getLogger(__name__)

Place = tuple[str, int]
"""Topic and partition."""

PLACES: tuple[Place, ...] = tuple(
    (topic.name, partition) for topic in EVENT_TOPICS for partition in range(topic.partitions)
)


class Watch:
    """What is known of the newest record: whether it is live, and where there may be a newer one."""

    def __init__(self) -> None:
        self.live = False
        self._newest_ms = -1
        self._seen: dict[Place, int] = {}
        self._ours: dict[Place, int] = {}

    def unseen(self, ends: dict[Place, int]) -> dict[Place, int]:
        """The offset of the last record that is not our own tick, for each place where it is a new one."""
        offsets = {}
        for place, end in ends.items():
            last = end - 1
            if last == self._ours.get(place):
                last -= 1
            if last >= self._seen.get(place, 0):
                offsets[place] = last
        return offsets

    def passed(self, place: Place, offset: int) -> None:
        """The record at `offset` has been looked at, or is not there any more."""
        self._seen[place] = offset + 1

    def saw(self, value: bytes | None, append_ms: int) -> None:
        """A last record. Of records at the same time the one of a replay counts; a bad one never does."""
        try:
            event = parse(value)
        except RejectedEvent:
            return
        live = event.replay is None
        if append_ms > self._newest_ms or (append_ms == self._newest_ms and not live):
            self.live, self._newest_ms = live, append_ms

    def sent(self, place: Place, offset: int) -> None:
        """Our own tick got this offset."""
        self._ours[place] = offset


class Ticker:
    """Looks and ticks. Kafka's own errors are left to the caller, who tries again."""

    def __init__(self, bootstrap_servers: str) -> None:
        servers = bootstrap_servers.split(",")
        self._watch = Watch()
        self._servers = servers
        self._consumer = self._connected()
        self._producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)

    def beat(self, now_ms: int) -> bool:
        """Look at what is new, and tick where the newest record is live; whether it is."""
        self._look()
        if self._watch.live:
            record = encode(Tick(ts=now_ms))
            futures = {
                place: self._producer.send(place[0], partition=place[1], value=record) for place in PLACES
            }
            for place, future in futures.items():
                self._watch.sent(place, future.get(timeout=_SEND_S).offset)
        return self._watch.live

    def _connected(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self._servers,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            max_partition_fetch_bytes=MAX_RECORD_BYTES,
            enable_incremental_fetch_sessions=False,  # each look asks for other partitions
        )

    def _look(self) -> None:
        partitions = [TopicPartition(*place) for place in PLACES]
        ends = self._consumer.end_offsets(partitions, timeout_ms=_LOOK_MS)
        unseen = self._watch.unseen({(at.topic, at.partition): end for at, end in ends.items()})
        if not unseen:
            return
        wanted = {TopicPartition(*place): offset for place, offset in unseen.items()}
        # A partition that stays assigned stays paused, and may keep a position of an earlier look.
        self._consumer.unsubscribe()
        self._consumer.assign(list(wanted))
        for at, offset in wanted.items():
            self._consumer.seek(at, offset)
        until_s = time.monotonic() + _READ_S
        while wanted:
            for at, records in self._consumer.poll(timeout_ms=100).items():
                if at in wanted:
                    self._watch.saw(records[0].value, records[0].timestamp)
                    self._consumer.pause(at)
            # Beyond it without a record: the broker has deleted it since.
            for at in [at for at, offset in wanted.items() if self._consumer.position(at) > offset]:
                self._watch.passed((at.topic, at.partition), wanted.pop(at))
            if wanted and time.monotonic() > until_s:
                # A consumer was seen to get stuck on partitions for good; a new one reads them.
                self._consumer.close()
                self._consumer = self._connected()
                # Without them nobody knows whether the newest is live; the next beat looks again.
                raise KafkaTimeoutError(f"{len(wanted)} last records could not be read")


def tick_for_ever(bootstrap_servers: str) -> NoReturn:
    """Ticks, through every outage of the broker that begins after the start.

    Raises:
        UnavailableError: the broker is not there at the start.
    """
    ensure_topics(bootstrap_servers)
    try:
        ticker = Ticker(bootstrap_servers)
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {error}") from error
    due_s = time.monotonic()
    while True:
        try:
            ticker.beat(int(time.time() * 1000))
        except (KafkaError, OSError) as error:
            logger.warning("no tick: %s", error)
        due_s = max(due_s + INTERVAL_S, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))


def main() -> None:
    """Ticks until the process is told to stop; exit status 1 where there is no broker."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs each attempt to connect
    try:
        tick_for_ever(load_settings().bootstrap_servers)
    except HoldfastError as error:
        print(f"ticker: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
