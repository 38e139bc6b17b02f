"""Of all that lies on the topics, a decision's story is of its own records, and of its own user's."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from msgspec import Struct

from schemas.codec import encode
from schemas.decision import DraftRequest
from schemas.errors import InputError
from schemas.events import Account, Login, Support
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.topics import (
    ACCOUNT,
    CROSSINGS,
    DECISIONS,
    DRAFT_REQUESTS,
    INTERVENTIONS,
    LOGIN,
    OUTCOMES,
    SUPPORT,
    Topic,
)
from streams import gathering
from streams.consumer import Record
from streams.gathering import BEFORE_MS, gather
from streams.producer import partition_of
from streams.settings import Settings
from streams.store import KEEP_MS
from tests import records

AT = records.AT
ANN = Account(event_id="a1", tenant="acme", user_id="u1", ts=AT - 9, name="Ann")
PARTITION = partition_of(b"acme/u1")


class Topics:
    """A broker's topics: records by topic, in the order in which they were appended."""

    def __init__(self) -> None:
        self._of: dict[str, list[Record]] = {}

    def add(self, topic: Topic, record: Struct, append_ms: int = AT + 5, key: str = "acme/u1") -> None:
        found = self._of.setdefault(topic.name, [])
        place = partition_of(key.encode())
        found.append(Record(place, len(found), append_ms, key.encode(), encode(record)))

    def between(
        self, topic: Topic, since_ms: int, until_ms: int | None = None, partition: int | None = None
    ) -> Iterator[Record]:
        for record in self._of.get(topic.name, ()):
            within = since_ms <= record.append_ms and (until_ms is None or record.append_ms < until_ms)
            if within and partition in (None, record.partition):
                yield record

    def newest_first(self, topic: Topic, now_ms: int, partition: int | None = None) -> Iterator[Record]:
        yield from self.between(topic, 0, None, partition)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Topics that are read in place of a broker's; on them lies the decision `d1` of `acme/u1`."""
    there = Topics()

    @contextmanager
    def finding(bootstrap_servers: str) -> Iterator[Topics]:
        yield there

    monkeypatch.setattr(gathering, "finding", finding)
    there.add(DECISIONS, records.decision())
    return there


def test_a_decision_that_is_not_there_is_named(topics: Topics) -> None:
    with pytest.raises(InputError, match="topic decisions has no decision 'd2' of acme/u1"):
        gather(Settings(), "d2", "acme/u1", "none", AT)


def test_whoever_names_the_wrong_user_is_told_so(topics: Topics) -> None:
    other = next(f"acme/u{n}" for n in range(2, 99) if partition_of(f"acme/u{n}".encode()) != PARTITION)
    with pytest.raises(InputError, match=f"no decision 'd1' of {other}"):
        gather(Settings(), "d1", other, "none", AT)


@pytest.mark.parametrize("user", ["acme/u1", None])
def test_the_story_has_each_record_of_the_decision_and_when_it_was_appended(
    topics: Topics, user: str | None
) -> None:
    crossing = records.crossing(account=ANN)
    request = DraftRequest(crossing=crossing, asked_at=AT)
    topics.add(DRAFT_REQUESTS, request, AT - BEFORE_MS + 10)
    topics.add(CROSSINGS, crossing, AT + 3)
    topics.add(INTERVENTIONS, records.decision(), AT + 6)
    found = gather(Settings(), "d1", user, "none", AT)
    assert (found.decision, found.request, found.crossing) == (records.decision(), request, crossing)
    assert msgspec.to_builtins(found.appended) == {
        "request_ms": AT - BEFORE_MS + 10,
        "draft_ms": None,
        "risk_ms": None,
        "crossing_ms": AT + 3,
        "decision_ms": AT + 5,
        "intervention_ms": AT + 6,
    }
    assert found.account == ANN and found.seen is None and found.copies == 1


def test_copies_are_counted_and_what_was_decided_again_is_told_once(topics: Topics) -> None:
    later = records.decision(id="d1/again")
    topics.add(DECISIONS, records.decision(), AT + 4)
    topics.add(DECISIONS, later, AT + 60_000)
    topics.add(DECISIONS, later, AT + 60_001)
    topics.add(DECISIONS, records.decision(id="d3"), AT + 70_000)
    found = gather(Settings(), "d1", "acme/u1", "none", AT)
    assert (found.copies, found.others, found.appended.decision_ms) == (2, (later,), AT + 4)


def test_an_outcome_counts_once_and_another_decisions_not_at_all(topics: Topics) -> None:
    for name, decision in (("o1", "d1"), ("o1", "d1"), ("o2", "d1"), ("o3", "d3")):
        outcome = UserOutcome(
            outcome_id=name,
            tenant="acme",
            user_id="u1",
            ts=AT + 9,
            decision_id=decision,
            kind=OutcomeKind.OPENED,
        )
        topics.add(OUTCOMES, outcome, AT + 99)
    found = gather(Settings(), "d1", "acme/u1", "none", AT)
    assert [one.outcome_id for one in found.outcomes] == ["o1", "o2"]


def test_what_the_user_did_is_read_up_to_the_decision_from_the_topics(topics: Topics) -> None:
    def did(name: str, ts: int) -> Login:
        return Login(event_id=name, tenant="acme", user_id="u1", ts=ts)

    message = Support(event_id="s1", tenant="acme", user_id="u1", ts=AT - 5, text="It fails again")
    topics.add(LOGIN, did("old", AT - KEEP_MS - 1), AT - KEEP_MS - 1)
    topics.add(LOGIN, did("seen", AT - 9), AT - 9)
    topics.add(LOGIN, msgspec.structs.replace(did("other", AT - 9), user_id="u2"), AT - 9, key="acme/u2")
    topics.add(LOGIN, did("after", AT - 7), AT + 77)
    topics.add(SUPPORT, message, AT - 5)
    topics.add(ACCOUNT, ANN, AT - 9)
    found = gather(Settings(), "d1", "acme/u1", "topics", AT)
    assert found.seen is not None and found.account == ANN
    assert found.seen.kinds == {"login": 1, "account": 1, "support": 1}
    assert found.seen.telling == (ANN, message)
