"""Compares what the stream published with the batch answer, field by field.

`settle` waits without a time limit: a job that was killed on the way goes on from its checkpoint once
somebody brings the stack up again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, RetriableError
from msgspec import Struct

from schemas.codec import encode
from schemas.deadletter import DeadLetter
from schemas.decision import Decision, Ruling, Standing
from schemas.errors import InputError, UnavailableError
from schemas.events import Event, Replay, Tick
from schemas.topics import DECISIONS, EVENT_TOPICS, JUDGED, REJECTED, SEQUENCES, Topic
from schemas.vocabulary import Cause, HeldBy, Rung
from streams.agents import SEQUENCES_GROUP, SIEVE_GROUP
from streams.batch import Batch, ExpectedDecision
from streams.consumer import reading
from streams.producer import send
from streams.sending import Outgoing
from streams.settings import Settings
from streams.store import UserStore

FIELDS = (
    "tenant",
    "user_id",
    "cause",
    "at",
    "from_tier",
    "to_tier",
    "activity",
    "recent",
    "prior",
    "usual",
    "tenure",
)
RULED = (
    "version",
    "standing",
    "held_by",
    "allowed_at",
    "passed",
    "assigned",
    "treatment",
    "offers_before",
)
"""What stream and batch must agree on, besides the id and the outcome: of a decision, and of its ruling."""
_POLL_S = 1.0
_USERS_AT_ONCE = 64


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that stream and batch do not agree on; None is what is not there."""

    what: str
    where: str
    stream: str | None
    batch: str | None


class Verdict(Struct, kw_only=True):
    """What the comparison gave. `repeated` are further copies of decisions, as at-least-once allows."""

    decisions: int = 0
    repeated: int = 0
    by_tier: dict[str, int] = msgspec.field(default_factory=dict)
    by_cause: dict[str, int] = msgspec.field(default_factory=dict)
    by_rule: dict[str, int] = msgspec.field(default_factory=dict)
    """How many were sent, and how many each rule held."""
    rejected: int = 0
    users: int = 0
    """Users of whom Redis was compared, those with an empty sequence included."""
    events: int = 0
    """Events in the sequences of these users."""
    differences: list[Difference] = msgspec.field(default_factory=list)


def require_empty(bootstrap_servers: str) -> None:
    """See to it that nothing was sent to this stack yet.

    Raises:
        InputError: something was.
        UnavailableError: the broker does not answer.
    """
    for topic in (*EVENT_TOPICS, DECISIONS, REJECTED):
        with reading(bootstrap_servers, topic) as reader:
            if reader.size():
                raise InputError(
                    f"{topic.name} holds records already, so there is nothing to compare with: "
                    "run  holdfast down --wipe && holdfast up"
                )


READERS: tuple[tuple[str, tuple[Topic, ...]], ...] = (
    (SIEVE_GROUP, EVENT_TOPICS),
    ("holdfast-decisions", JUDGED),
    (SEQUENCES_GROUP, (SEQUENCES,)),
)
"""The consumer groups that are waited for, one after the other, and what they read."""


def settle(settings: Settings, until_ms: int, on_wait: Callable[[str], None]) -> None:
    """Wait until sieve, main job and writer of sequences have read everything, and what follows is written.

    The job's offsets are committed with its checkpoints. Once the end is committed, one more tick is sent:
    the checkpoint that covers it has everything that event time set off, flushed to the topics.

    Raises:
        UnavailableError: the broker does not answer.
    """
    replay = Replay(until=until_ms)
    tick = Outgoing(0, None, None, encode(Tick(ts=until_ms + settings.watermark_bound_ms, replay=replay)))
    for group, topics in READERS:
        await_committed(settings.bootstrap_servers, group, topics, on_wait)
    asyncio.run(send(settings.bootstrap_servers, [tick]))
    for group, topics in READERS:
        await_committed(settings.bootstrap_servers, group, topics, on_wait)


def await_committed(
    servers: str, group: str, topics: Iterable[Topic], on_wait: Callable[[str], None]
) -> None:
    """Wait until a group has committed all that is on the topics now; `on_wait` is told what is left.

    Raises:
        UnavailableError: the broker does not answer.
    """
    ends: dict[TopicPartition, int] = {}
    for topic in topics:
        with reading(servers, topic) as reader:
            ends |= reader.ends()
    try:
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), bootstrap_timeout_ms=10_000)
        try:
            while behind := _behind(admin, group, ends):
                on_wait(f"{group}: {behind:,} records until it has them all for good")
                time.sleep(_POLL_S)
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {servers} does not answer: {error}") from error


def _behind(admin: KafkaAdminClient, group: str, ends: dict[TopicPartition, int]) -> int:
    try:
        committed = admin.list_group_offsets([group])[group]
    except RetriableError:  # nobody of the group has committed anything yet
        committed = {}
    offsets = {place: found.offset for place, found in committed.items()}
    return sum(max(0, end - max(0, offsets.get(place, 0))) for place, end in ends.items())


def compare_decisions(published: Iterable[Decision], batch: Batch, verdict: Verdict) -> None:
    """Add to `verdict` what `published`, in any order and with repeats, and the batch differ in.

    Risk crossings depend on a model, of which the batch knows nothing: they are counted, and not compared.
    Whether the guard lets a script pass does, too, where an experiment wants the rung. Where they
    come between, the offers of a day are not compared.
    """
    published = list(published)
    has_risks = any(decision.cause is Cause.RISK for decision in published)
    expected = {decision.id: decision for decision in batch.decisions}
    seen: dict[str, Decision] = {}
    for decision in published:
        verdict.repeated += decision.id in seen
        seen[decision.id] = decision
        # A copy must tell the same, too; only the copies' timing differs.
        if decision.cause is not Cause.RISK:
            verdict.differences += _compared(decision, expected.get(decision.id), has_risks)
    for missing in expected.keys() - seen.keys():
        verdict.differences += _compared(None, expected[missing], has_risks)
    verdict.decisions = len(seen)
    verdict.by_tier = dict(Counter(decision.to_tier.value for decision in seen.values()))
    verdict.by_cause = dict(Counter(decision.cause.value for decision in seen.values()))
    verdict.by_rule = dict(Counter(str(one.held_by or one.outcome) for one in seen.values()))


def risk_scripts(published: Iterable[Decision]) -> dict[str, list[int]]:
    """By user, the times (epoch ms) of the risk crossings that caps count, of which no batch can know."""
    found: dict[str, dict[str, int]] = {}
    for one in published:
        if one.cause is Cause.RISK and one.ruling is not None and one.ruling.is_counted:
            found.setdefault(f"{one.tenant}/{one.user_id}", {})[one.id] = one.ruling.standing.at
    return {key: list(times.values()) for key, times in found.items()}


def _compared(
    stream: Decision | None, batch: ExpectedDecision | None, has_risks: bool
) -> Iterator[Difference]:
    one = stream if stream is not None else batch
    assert one is not None  # the callers have at least one of them
    where = f"{one.tenant}/{one.user_id} {one.cause} at {one.at} ({one.id})"
    if stream is None or batch is None:
        yield Difference(what="decision", where=where, stream=_short(stream), batch=_short(batch))
        return
    for name in FIELDS:
        yield from _differ(name, where, getattr(stream, name), getattr(batch, name))
    is_bounded = has_risks and batch.ruling.offers_before is not None
    for name in RULED:
        if is_bounded and name in ("held_by", "allowed_at", "offers_before"):
            continue
        ours, theirs = _ruled(stream.ruling, name), _ruled(batch.ruling, name)
        yield from _differ(f"ruling.{name}", where, ours, theirs)
    if not is_bounded and not _is_of_the_guard(stream, batch):
        for name in ("outcome", "held_by"):
            yield from _differ(name, where, getattr(stream, name), getattr(batch, name))


def _differ(what: str, where: str, ours: object, theirs: object) -> Iterator[Difference]:
    if ours != theirs:
        yield Difference(what=what, where=where, stream=str(ours), batch=str(theirs))


def _ruled(ruling: Ruling | None, name: str) -> object:
    """A field of a ruling. The scripts sent are in no order, since those of a risk come in between."""
    found = None if ruling is None else getattr(ruling, name)
    if isinstance(found, Standing):
        return msgspec.structs.replace(found, sent=tuple(sorted(found.sent)))
    return found


def _is_of_the_guard(stream: Decision, batch: ExpectedDecision) -> bool:
    """Whether the one rung that may write had to pass the guard, and did not: templates always pass."""
    ruling = batch.ruling
    only_model = ruling.treatment.rung not in (None, Rung.TEMPLATE)
    return stream.held_by is HeldBy.GUARD and ruling.is_worded and only_model


def _short(decision: Decision | ExpectedDecision | None) -> str | None:
    if decision is None:
        return None
    return f"{decision.from_tier} to {decision.to_tier}, activity {decision.activity!r}"


def compare_rejected(letters: Iterable[DeadLetter], batch: Batch, verdict: Verdict) -> None:
    """Add to `verdict` the rejected records that only one side has; each lies on the topic at least once."""
    places = {(letter.topic, letter.partition, letter.offset): letter for letter in letters}
    verdict.rejected = len(places)
    stream = Counter((letter.field, letter.reason, letter.value or b"") for letter in places.values())
    expected = Counter((refused.field, refused.reason, refused.value) for refused in batch.rejected)
    for field, reason, value in stream.keys() | expected.keys():
        ours, theirs = stream[field, reason, value], expected[field, reason, value]
        if ours != theirs:
            where = f"{field} {reason}: {value[:80]!r}"
            verdict.differences.append(
                Difference(what="rejected", where=where, stream=f"{ours} times", batch=f"{theirs} times")
            )


async def compare_sequences(
    redis_url: str, keys: Iterable[str], batch: Batch, verdict: Verdict, on_user: Callable[[], None]
) -> None:
    """Add to `verdict` the users whose last 30 days in Redis are not those of the batch.

    Raises:
        UnavailableError: Redis does not answer.
    """
    store = UserStore(redis_url, timeout_s=10.0)
    try:
        waiting = list(keys)
        for start in range(0, len(waiting), _USERS_AT_ONCE):
            some = waiting[start : start + _USERS_AT_ONCE]
            found = await asyncio.gather(*(store.read(key, batch.until_ms) for key in some))
            for key, events in zip(some, found, strict=True):
                expected = batch.sequences.get(key, ())
                verdict.users += 1
                verdict.events += len(events)
                if _ordered(events) != _ordered(expected):
                    verdict.differences.append(_sequence_difference(key, events, expected))
                on_user()
    finally:
        await store.close()


def _ordered(events: Iterable[Event]) -> list[bytes]:
    return sorted(encode(event) for event in events)


def _sequence_difference(key: str, ours: Iterable[Event], theirs: Iterable[Event]) -> Difference:
    stream, batch = Counter(_ordered(ours)), Counter(_ordered(theirs))

    def told(events: Counter[bytes], only: Counter[bytes]) -> str:
        first = next((event.decode() for event in only), "none")
        return f"{events.total()} events, {only.total()} of them only here, such as {first}"

    return Difference(
        what="sequence", where=key, stream=told(stream, stream - batch), batch=told(batch, batch - stream)
    )


def published(bootstrap_servers: str) -> Iterator[Decision]:
    """Every decision on the topic."""
    decoder = msgspec.json.Decoder(Decision)
    with reading(bootstrap_servers, DECISIONS) as reader:
        for record in reader.present():
            if record.value is not None:
                yield decoder.decode(record.value)


def dead_letters(bootstrap_servers: str) -> Iterator[DeadLetter]:
    """Every rejected record."""
    decoder = msgspec.json.Decoder(DeadLetter)
    with reading(bootstrap_servers, REJECTED) as reader:
        for record in reader.present():
            if record.value is not None:
                yield decoder.decode(record.value)
