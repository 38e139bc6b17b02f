"""The job as a Quix Streams application: state in RocksDB, with a changelog topic.

Quix keeps state by the key of a record, and cannot list its keys. So that the last tick of a replay can
reach silent users, the state here is a partition's: a list of its users, and each one's state by name.
"""

from collections.abc import Iterator
from typing import Any

from quixstreams import Application, State, message_context
from quixstreams.models import Serializer

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
from schemas.topics import CROSSINGS, DECISIONS, INTERVENTIONS, PARTITIONS, REJECTED
from streams.flow import Out, Place

_SHARED = b"partition"
_USERS = "*"
Keyed = tuple[bytes | None, bytes | None]


class OutValue(Serializer):  # type: ignore[misc]  # only .venv-peers has it: no types
    """The bytes of what is published."""

    def __call__(self, value: Out, ctx: Any) -> bytes:
        """Called by Quix for each record."""
        return value.value


class Users:
    """The step of the users' lives."""

    def __init__(self, bound_ms: int) -> None:
        # A user's records are in one partition of each topic: those alone make the user's event time.
        self._intakes = [Intake(bound_ms, (number,)) for number in range(PARTITIONS)]

    def take(self, record: Keyed, key: bytes, ts: int, headers: Any, state: State) -> Iterator[Out]:
        """A record, and the state of its partition; `ts` (epoch ms) is when it was appended."""
        user_key, value = record
        context = message_context()
        place = Place(context.topic, context.partition, context.offset, ts)
        user = "" if user_key is None else user_key.decode(errors="replace")
        kept = state.get_bytes(user) if user else None
        before = START if kept is None else decode_state(kept)
        intake = self._intakes[place.partition]
        after, outs = take(before, intake.admit(place, user_key, value))
        if after is not before:
            state.set_bytes(user, encode_state(after))
            if kept is None:
                state.set(_USERS, [*state.get(_USERS, []), user])
        yield from outs
        if not intake.replay_has_ended():
            return
        for user in state.get(_USERS, []):
            before = decode_state(state.get_bytes(user))
            after, outs = wake(user, before, intake.watermark_ms)
            if after is not before:
                state.set_bytes(user, encode_state(after))
            yield from outs


def build(given: Options) -> Application:
    """The application, from and to Kafka."""
    app = Application(
        given.bootstrap,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        commit_interval=given.save_every_s,
        state_dir=given.state_dir,
        loglevel="WARNING",
        consumer_extra_config={"session.timeout.ms": SESSION_S * 1000},
    )
    first, *others = (
        app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="bytes"))
        for name in TOPICS
    )
    for other in others:
        first = first.concat(other)
    shared = first.stream.add_transform(lambda value, key, ts, headers: ((key, value), _SHARED, ts, headers))
    outs = first.__dataframe_clone__(*first.topics, stream=shared).apply(
        Users(given.bound_ms).take, stateful=True, expand=True, metadata=True
    )
    topics = {
        topic.name: app.topic(topic.name, key_serializer="bytes", value_serializer=OutValue())
        for topic in (DECISIONS, CROSSINGS, INTERVENTIONS, REJECTED)
    }
    outs.to_topic(lambda out, key, ts, headers: topics[out.topic], key=lambda out: out.key)
    return app


if __name__ == "__main__":
    build(options()).run()
