"""The job as a Faust agent: a table in memory, kept in a changelog topic, from which it comes back."""

import sys
from collections.abc import AsyncIterator
from typing import Any, Protocol

import faust

from benchmarks.peers.intake import (
    GROUP,
    SESSION_S,
    START,
    TOPICS,
    Intake,
    Options,
    decode_state,
    encode_state,
    options,
    take,
    wake,
)
from operators.userstate import UserState
from schemas.topics import CROSSINGS, DECISIONS, INTERVENTIONS, PARTITIONS, REJECTED
from streams.flow import Out, Place


class Stream(Protocol):
    """What is used of Faust's stream."""

    def events(self) -> AsyncIterator[Any]:
        """The records, with where they lie."""


def build(given: Options) -> faust.App:
    """The app with its one agent."""
    app = faust.App(
        GROUP,
        broker=f"kafka://{given.bootstrap}",
        store="memory://",
        datadir=given.state_dir,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=given.save_every_s,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=SESSION_S / 10,
        stream_wait_empty=False,
        web_enabled=False,
    )
    raw = {"key_serializer": "raw", "value_serializer": "raw", "key_type": bytes, "value_type": bytes}
    events = app.topic(*TOPICS, **raw)
    topics = {
        topic.name: app.topic(topic.name, **raw) for topic in (DECISIONS, CROSSINGS, INTERVENTIONS, REJECTED)
    }
    users = app.Table("users", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    intake = Intake(given.bound_ms)

    async def keep(key: bytes, before: UserState, after: UserState, outs: list[Out]) -> None:
        if after is not before:
            users[key] = encode_state(after)
        for out in outs:
            await topics[out.topic].send(key=out.key, value=out.value)

    async def live(stream: Stream) -> None:
        async for event in stream.events():
            message = event.message
            key = message.key
            place = Place(message.topic, message.partition, message.offset, round(message.timestamp * 1000))
            before = _state(None if key is None else users.get(key))
            await keep(key, before, *take(before, intake.admit(place, key, message.value)))
            if intake.replay_has_ended():
                for other, kept in list(users.items()):
                    state = _state(kept)
                    await keep(other, state, *wake(other.decode(), state, intake.watermark_ms))

    app.agent(events)(live)
    return app


def _state(kept: bytes | None) -> UserState:
    return START if kept is None else decode_state(kept)


if __name__ == "__main__":
    app = build(options())
    sys.argv[1:] = []
    faust.Worker(app, loglevel="WARN").execute_from_commandline()
