"""The job as a Bytewax dataflow: a stateful step a user, saved into Bytewax's recovery store.

Bytewax notifies a key by the clock on the wall. A time that is due in the past, as in a replay, is therefore
looked at again every `_LOOK`, until event time has reached it; one in the future is slept to.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main

from benchmarks.peers.intake import START, TOPICS, Admitted, Intake, Options, due_ms, options, take, wake
from operators.userstate import UserState
from streams.flow import Out, Place

_LOOK = timedelta(seconds=0.2)
Kept = tuple[str, UserState]
Item = tuple[str, Admitted]


class Seen:
    """Event time (epoch ms) of what the stateful step has worked on: reading is ahead of it."""

    def __init__(self) -> None:
        self.watermark_ms = -1


class Life(StatefulLogic):  # type: ignore[misc]  # only .venv-peers has it: no types
    """One user; `kept` is what was saved before a restart."""

    def __init__(self, seen: Seen, bound_ms: int, kept: Kept | None) -> None:
        self._seen, self._bound = seen, timedelta(milliseconds=bound_ms)
        self._user, self._state = kept or ("", START)

    def on_item(self, item: Item) -> tuple[list[Out], bool]:
        """A record of the user."""
        self._user, admitted = item
        self._seen.watermark_ms = max(self._seen.watermark_ms, admitted.watermark_ms)
        self._state, outs = take(self._state, admitted)
        return outs, False

    def on_notify(self) -> tuple[list[Out], bool]:
        """The time that `notify_at` gave has come."""
        self._state, outs = wake(self._user, self._state, self._seen.watermark_ms)
        return outs, False

    def notify_at(self) -> datetime | None:
        """When to look whether event time has come to the user's next change."""
        due = due_ms(self._user, self._state)
        if due is None:
            return None
        at = datetime.fromtimestamp(due / 1000, UTC) + self._bound
        return max(at, datetime.now(UTC)) + _LOOK

    def snapshot(self) -> Kept:
        """What Bytewax saves; none of it is changed in place."""
        return self._user, self._state


def flow(given: Options) -> Dataflow:
    """The dataflow, from and to Kafka."""
    intake, seen, brokers = Intake(given.bound_ms), Seen(), [given.bootstrap]

    def admitted(record: KafkaSourceMessage) -> Item:
        place = Place(record.topic, record.partition, record.offset, record.timestamp[1])
        user = (record.key or b"").decode(errors="replace")
        return user, intake.admit(place, record.key, record.value)

    dataflow = Dataflow("peer")
    records = op.input("events", dataflow, KafkaSource(brokers, TOPICS))
    items = op.map("admitted", records, admitted)
    of_users = op.key_on("user", items, lambda item: item[0])
    outs = op.stateful("lives", of_users, lambda kept: Life(seen, given.bound_ms, kept))
    messages = op.map(
        "message", outs, lambda pair: KafkaSinkMessage(pair[1].key, pair[1].value, pair[1].topic)
    )
    op.output("published", messages, KafkaSink(brokers, topic=None))
    return dataflow


def recovery(folder: Path) -> RecoveryConfig:
    """The recovery store in `folder`."""
    if not any(folder.iterdir()):
        init_db_dir(folder, 1)
    return RecoveryConfig(folder)


if __name__ == "__main__":
    given = options()
    cluster_main(
        flow(given),
        addresses=[],
        proc_id=0,
        epoch_interval=timedelta(seconds=given.save_every_s),
        recovery_config=recovery(given.state_dir),
    )
