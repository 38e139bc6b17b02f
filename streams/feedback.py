"""Reads what was decided and what came of it from their topics, each record once."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from schemas.decision import Decision
from schemas.feedback import Feedback
from schemas.topics import DECISIONS, FEEDBACK, Topic
from streams.consumer import reading

_Record = TypeVar("_Record")


def read_decisions(bootstrap_servers: str) -> list[Decision]:
    """All decisions that are on their topic now, of copies the first.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    first: dict[str, Decision] = {}
    for one in _records(bootstrap_servers, DECISIONS, Decision):
        first.setdefault(one.id, one)
    return list(first.values())


def read_feedback(bootstrap_servers: str) -> list[Feedback]:
    """All outcomes that have been joined to their decision, each once.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    return list({one.key: one for one in _records(bootstrap_servers, FEEDBACK, Feedback)}.values())


def _records(bootstrap_servers: str, topic: Topic, kind: type[_Record]) -> Iterator[_Record]:
    decoder = msgspec.json.Decoder(kind)
    with reading(bootstrap_servers, topic) as reader:
        for record in reader.present():
            if record.value is not None:
                yield decoder.decode(record.value)
