"""What may be committed while several records are worked on at once."""

from aiokafka import TopicPartition

from streams.agents.agent import Progress

A, B = TopicPartition("crossings", 0), TopicPartition("crossings", 1)


def begun(*offsets: int) -> Progress:
    progress = Progress()
    for offset in offsets:
        progress.begin(A, offset)
    return progress


def test_nothing_is_committed_past_a_record_that_is_under_way() -> None:
    progress = begun(7, 8, 9)
    assert progress.offsets() == {A: 7}
    progress.end(A, 8)
    progress.end(A, 9)
    assert progress.offsets() == {A: 7}
    progress.end(A, 7)
    assert progress.offsets() == {A: 10}


def test_partitions_are_counted_apart() -> None:
    progress = begun(7)
    progress.begin(B, 3)
    progress.end(B, 3)
    assert progress.offsets() == {A: 7, B: 4}


def test_a_partition_that_was_given_away_is_not_committed() -> None:
    progress = begun(7)
    progress.forget([A, B])
    assert progress.offsets() == {}
    progress.end(A, 7)
    assert progress.offsets() == {}
