"""What a candidate published, held against the batch answer."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from schemas.deadletter import DeadLetter
from schemas.events import EpochMs
from schemas.topics import REJECTED
from schemas.vocabulary import Tier
from streams.batch import ExpectedDecision
from streams.consumer import Record


class Told(Struct, frozen=True):
    """What is compared of a decision, or of a crossing that is still to be composed."""

    id: str
    at: EpochMs
    to_tier: Tier
    activity: float


class Comparison(Struct, frozen=True, kw_only=True):
    """Decisions that the batch expects, and in how many the candidate differs.

    `different` have another tier or activity, or are not expected at all. `repeated` are further copies.
    """

    expected: int
    missing: int
    different: int
    repeated: int

    @property
    def equal(self) -> bool:
        """Whether it is the batch answer, once copies are dropped."""
        return not self.missing and not self.different


class _Mark(Struct):
    mark: str


_told = msgspec.json.Decoder(Told)
_letter = msgspec.json.Decoder(DeadLetter)
_mark = msgspec.json.Decoder(_Mark)


class Tally:
    """Takes records as they are published. Decisions up to `until_ms` are compared, later ones noted."""

    def __init__(self, expected: Iterable[ExpectedDecision], until_ms: int) -> None:
        self._expected = {decision.id: decision for decision in expected}
        self._until_ms = until_ms
        self._seen: set[str] = set()
        self._missing = set(self._expected)
        self._different = self._repeated = 0
        self._marks: dict[str, set[tuple[str, int]]] = {}
        self.last_ms = 0
        """When (epoch ms) the last mark or compared decision was appended."""
        self.later: dict[str, int] = {}
        """Append time (epoch ms) of each decision after `until_ms`."""
        self.hops: list[tuple[int, int]] = []
        """Of each rejected event when it was appended, and its dead letter (epoch ms)."""

    def take(self, topic: str, record: Record) -> None:
        """A record of one of the topics of results."""
        if record.value is None:
            return
        if topic == REJECTED.name:
            self._reject(_letter.decode(record.value), record.append_ms)
        else:
            self._decide(_told.decode(record.value), record.append_ms)

    def marks(self, name: str) -> int:
        """How many partitions of the events have been read up to the mark `name`."""
        return len(self._marks.get(name, ()))

    @property
    def complete(self) -> bool:
        """Whether every expected decision is there."""
        return not self._missing

    def comparison(self) -> Comparison:
        """How it stands."""
        return Comparison(
            expected=len(self._expected),
            missing=len(self._missing),
            different=self._different,
            repeated=self._repeated,
        )

    def _decide(self, told: Told, append_ms: int) -> None:
        if told.at > self._until_ms:
            self.later.setdefault(told.id, append_ms)
            return
        self.last_ms = append_ms
        if told.id in self._seen:
            self._repeated += 1
            return
        self._seen.add(told.id)
        self._missing.discard(told.id)
        expected = self._expected.get(told.id)
        if expected is None or (told.to_tier, told.activity) != (expected.to_tier, expected.activity):
            self._different += 1

    def _reject(self, letter: DeadLetter, append_ms: int) -> None:
        try:
            name = _mark.decode(letter.value or b"").mark
        except msgspec.DecodeError:
            self.hops.append((letter.append_ms, append_ms))
            return
        self.last_ms = append_ms
        self._marks.setdefault(name, set()).add((letter.topic, letter.partition))
