"""Outcomes find their decisions, each once, whichever comes first and wherever the process ends."""

import asyncio
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Assignment, Decision, Ruling, Standing
from schemas.feedback import About, Feedback
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.policy import Treatment
from schemas.topics import FEEDBACK, REJECTED
from schemas.vocabulary import HeldBy, Outcome, Reason, Rung, Tier
from streams.agents.agent import Received
from streams.agents.outcomes import WAIT_DAYS, Joiner
from streams.flow import Out
from streams.joined import Claimed, Parked
from tests.records import decision, script
from tests.streams.agents.fakes import Clock

AT = 1_700_000_000_000
DAY_MS = 86_400_000
RULING = Ruling(
    version="v1",
    standing=Standing(at=AT + 5, tier=Tier.HIGH, plan="pro"),
    assigned=(Assignment(experiment="offers", arm="gift", propensity=0.25),),
    treatment=Treatment(offer="gift"),
)
DECISION = decision(reason=Reason.LOGIN_DROP, script=script(model_version="3"), ruling=RULING)
REPLY = UserOutcome(
    outcome_id="o1", decision_id="d1", tenant="acme", user_id="u1", kind=OutcomeKind.REPLIED, ts=AT + 3605
)


class Memory:
    """What Redis would hold; `fails_at` ends the process at that call, once it has been done."""

    def __init__(self) -> None:
        self.abouts: dict[str, About] = {}
        self.claims: dict[str, tuple[str, bool]] = {}
        self.waiting: dict[Parked, int] = {}
        self.calls = 0
        self.fails_at: int | None = None

    def _called(self) -> None:
        self.calls += 1
        if self.calls == self.fails_at:
            raise SystemError("the process was killed")

    async def learn(self, about: About) -> About:
        self.abouts.setdefault(about.decision_id, about)
        self._called()
        return self.abouts[about.decision_id]

    async def about(self, decision_id: str) -> About | None:
        self._called()
        return self.abouts.get(decision_id)

    async def claim(self, key: str, digest: str) -> Claimed:
        there, published = self.claims.setdefault(key, (digest, False))
        self._called()
        return Claimed(there == digest, published)

    async def published(self, key: str, digest: str) -> None:
        self.claims[key] = digest, True
        self._called()

    async def park(self, one: Parked, until_ms: int) -> None:
        self.waiting.setdefault(one, until_ms)
        self._called()

    async def parked(self, decision_id: str) -> list[Parked]:
        self._called()
        return [one for one in self.waiting if one.decision_id == decision_id]

    async def overdue(self, now_ms: int) -> list[Parked]:
        self._called()
        return [one for one, until_ms in self.waiting.items() if until_ms <= now_ms]

    async def unpark(self, many: Iterable[Parked]) -> None:
        for one in list(many):
            self.waiting.pop(one, None)
        self._called()


class Bench:
    """An agent on a log of records, each of which is taken again until it has been committed."""

    def __init__(self) -> None:
        self.store, self.clock = Memory(), Clock()
        self.published: list[Out] = []
        self.killed = 0
        self._joiner = Joiner(self.store, self.clock)
        self._offset = 0

    def take(self, record: Decision | UserOutcome | bytes, key: bytes = b"acme/u1") -> None:
        topic = "decisions" if isinstance(record, Decision) else "outcomes"
        value = record if isinstance(record, bytes) else encode(record)
        self._offset += 1
        received = Received(topic, key, value, AT, 2, self._offset)
        while True:
            try:
                return asyncio.run(self._step(received))
            except SystemError:
                self.killed += 1
                self._joiner = Joiner(self.store, self.clock)

    async def _step(self, received: Received) -> None:
        async for outs in self._joiner.take(received):
            self.published += outs
            self.store._called()

    def feedback(self) -> list[Feedback]:
        return [msgspec.json.decode(out.value, type=Feedback) for out in self._on(FEEDBACK.name)]

    def dead(self) -> list[DeadLetter]:
        return [msgspec.json.decode(out.value, type=DeadLetter) for out in self._on(REJECTED.name)]

    def _on(self, topic: str) -> list[Out]:
        return [out for out in self.published if out.topic == topic]


def test_an_outcome_is_published_with_what_it_is_about() -> None:
    bench = Bench()
    bench.take(DECISION)
    bench.take(REPLY)
    (feedback,) = bench.feedback()
    assert (feedback.key, feedback.outcome, feedback.after_ms) == ("acme/o1", REPLY, 3600)
    about = feedback.about
    assert (about.tier, about.plan, about.reason, about.offer) == (
        Tier.HIGH,
        "pro",
        Reason.LOGIN_DROP,
        "gift",
    )
    assert (about.rung, about.model, about.model_version, about.rules) == (
        Rung.DRAFT,
        "holdfast-nano",
        "3",
        "v1",
    )
    assert about.assigned == RULING.assigned


def test_an_outcome_that_comes_before_its_decision_waits_for_it() -> None:
    bench = Bench()
    bench.take(REPLY)
    assert bench.published == []
    bench.take(DECISION)
    assert [one.outcome for one in bench.feedback()] == [REPLY]
    assert bench.store.waiting == {}


def test_a_late_outcome_counts_like_any_other() -> None:
    bench = Bench()
    bench.take(DECISION)
    bench.clock.now_ms += 90 * DAY_MS
    bench.take(REPLY)
    assert [one.outcome for one in bench.feedback()] == [REPLY]


def test_copies_count_once() -> None:
    bench = Bench()
    for record in (REPLY, REPLY, DECISION, DECISION, REPLY):
        bench.take(record)
    assert len(bench.feedback()) == 1 and bench.dead() == []


def test_the_first_of_two_decisions_of_one_id_is_what_outcomes_are_about() -> None:
    bench = Bench()
    bench.take(DECISION)
    bench.take(msgspec.structs.replace(DECISION, reason=Reason.ERRORS))
    bench.take(REPLY)
    assert [one.about.reason for one in bench.feedback()] == [Reason.LOGIN_DROP]


def test_an_outcome_whose_decision_never_comes_ends_as_a_dead_letter_with_its_bytes() -> None:
    bench = Bench()
    bench.take(REPLY)
    bench.clock.now_ms += WAIT_DAYS * DAY_MS
    bench.take(msgspec.structs.replace(DECISION, id="d2"))
    (letter,) = bench.dead()
    assert (letter.field, letter.value, letter.key) == ("decision_id", encode(REPLY), b"acme/u1")
    assert (letter.topic, letter.partition, letter.offset) == ("outcomes", 2, 1)
    assert bench.store.waiting == {}


@pytest.mark.parametrize(
    ("value", "key", "field"),
    [
        (b"no json", b"acme/u1", "record"),
        (encode(REPLY).replace(b"replied", b"liked"), b"acme/u1", "kind"),
        (encode(msgspec.structs.replace(REPLY, kind=OutcomeKind.NPS, value=11.0)), b"acme/u1", "value"),
        (encode(REPLY), b"acme/u2", "key"),
        (encode(msgspec.structs.replace(REPLY, user_id="u2")), b"acme/u2", "decision_id"),
        (encode(msgspec.structs.replace(REPLY, tenant="globex")), b"globex/u1", "decision_id"),
    ],
    ids=["not json", "unknown kind", "score", "key", "other user", "other tenant"],
)
def test_what_does_not_fit_is_rejected_with_its_bytes(value: bytes, key: bytes, field: str) -> None:
    bench = Bench()
    bench.take(DECISION)
    bench.take(value, key)
    (letter,) = bench.dead()
    assert (letter.field, letter.value, letter.key) == (field, value, key)
    assert bench.feedback() == []


def test_an_id_cannot_be_given_to_another_outcome() -> None:
    bench = Bench()
    bench.take(DECISION)
    bench.take(REPLY)
    bench.take(msgspec.structs.replace(REPLY, kind=OutcomeKind.COMPLAINT))
    assert [one.outcome.kind for one in bench.feedback()] == [OutcomeKind.REPLIED]
    assert [letter.field for letter in bench.dead()] == ["outcome_id"]


def test_decisions_of_a_replayed_past_are_not_kept() -> None:
    bench = Bench()
    bench.take(msgspec.structs.replace(DECISION, outcome=Outcome.HELD, held_by=HeldBy.REPLAY))
    assert bench.store.abouts == {}


@given(
    order=st.permutations(
        [DECISION, DECISION, REPLY, REPLY, msgspec.structs.replace(REPLY, outcome_id="o2")]
    ),
    fails_at=st.integers(1, 30),
)
def test_wherever_the_process_is_killed_each_outcome_counts_once(
    order: list[Decision | UserOutcome], fails_at: int
) -> None:
    bench, unharmed = Bench(), Bench()
    bench.store.fails_at = fails_at
    for record in order:
        bench.take(record)
        unharmed.take(record)
    assert bench.killed == (bench.store.calls >= fails_at)
    kept = {out.key: out.value for out in bench.published}
    assert kept == {out.key: out.value for out in unharmed.published}
    assert {key for key in kept if key is not None} == {b"acme/o1", b"acme/o2"}
    assert all(kept[out.key] == out.value for out in bench.published), "a copy has the same bytes"
    assert bench.store.waiting == {}
    assert len(unharmed.published) == 2
