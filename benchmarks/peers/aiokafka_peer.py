"""A bare loop over aiokafka with a dict: what one writes when a framework seems too much.

The dict is all there is: offsets are committed, the users' states are not kept anywhere.
"""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.intake import GROUP, SESSION_S, START, TOPICS, Intake, Options, options, take, wake
from operators.userstate import UserState
from streams.flow import Out, Place


async def run(given: Options) -> None:
    """Read, decide and publish, for ever."""
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=given.bootstrap,
        group_id=GROUP,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=int(given.save_every_s * 1000),
        session_timeout_ms=SESSION_S * 1000,
    )
    producer = AIOKafkaProducer(bootstrap_servers=given.bootstrap)
    intake, users = Intake(given.bound_ms), dict[bytes, UserState]()
    async with consumer, producer:

        async def publish(outs: list[Out]) -> None:
            for out in outs:
                await producer.send(out.topic, out.value, out.key)

        while True:
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                for record in records:
                    where = Place(place.topic, place.partition, record.offset, record.timestamp)
                    before = START if record.key is None else users.get(record.key, START)
                    after, outs = take(before, intake.admit(where, record.key, record.value))
                    if after is not before:
                        users[record.key] = after
                    await publish(outs)
                if intake.replay_has_ended():
                    for key, state in users.items():
                        users[key], outs = wake(key.decode(), state, intake.watermark_ms)
                        await publish(outs)


if __name__ == "__main__":
    asyncio.run(run(options()))
