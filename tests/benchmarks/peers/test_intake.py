"""What a peer does with records gives the batch answer, when it takes them in any order of its partitions."""

from collections import defaultdict

from benchmarks.peers.intake import START, Intake, take, wake
from benchmarks.peers.log import make_log
from benchmarks.peers.tally import Tally
from schemas.topics import EVENT_TOPICS, PARTITIONS
from streams.consumer import Record
from streams.flow import Out, Place
from streams.producer import partition_of


def test_a_dict_of_users_gives_the_batch_answer_however_the_topics_are_read() -> None:
    log = make_log(users=20, per_use=1, now_ms=1_700_000_000_000, bound_ms=1000)
    tally, intake, users = Tally(log.expected, log.until_ms), Intake(bound_ms=1000), {}
    read: dict[tuple[str, int], list[tuple[bytes | None, bytes]]] = defaultdict(list)
    for record in (*log.first, *log.second):
        if record.topic is None:
            for topic in EVENT_TOPICS:
                for partition in range(PARTITIONS):
                    read[topic.name, partition].append((None, record.value))
        else:
            read[record.topic, partition_of(record.key or b"")].append((record.key, record.value))

    def publish(outs: list[Out]) -> None:
        for out in outs:
            tally.take(out.topic, Record(partition=0, offset=0, append_ms=1, key=out.key, value=out.value))

    for (topic_name, partition), records in read.items():  # one partition after the other
        for offset, (key, value) in enumerate(records):
            admitted = intake.admit(Place(topic_name, partition, offset, log.until_ms), key, value)
            state, outs = take(users.get(key, START), admitted)
            if key is not None:
                users[key] = state
            publish(outs)
    assert not tally.complete, "without timers nobody who is silent has been looked at"
    assert intake.replay_has_ended()
    assert not intake.replay_has_ended(), "said once"
    for key, state in users.items():
        publish(wake(key.decode(), state, intake.watermark_ms)[1])
    assert tally.comparison().equal
