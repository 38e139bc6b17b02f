"""Finds the records of one decision on all topics: one partition of each, and only about its time."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import msgspec

from schemas.codec import MAX_AHEAD_MS, parse
from schemas.decision import Crossing, Decision, Draft, DraftRequest, decision_id
from schemas.errors import InputError, RejectedEvent
from schemas.events import Account, Event, Tick
from schemas.examples import Example
from schemas.outcome import UserOutcome
from schemas.risk import Risk
from schemas.topics import (
    ACCOUNT,
    CROSSINGS,
    DAY_MS,
    DECISIONS,
    DRAFT_REQUESTS,
    DRAFTS,
    EVENT_TOPICS,
    INTERVENTIONS,
    OUTCOMES,
    RISKS,
    Topic,
)
from schemas.vocabulary import Cause
from streams.consumer import Record
from streams.examples import read_examples
from streams.finding import Finder, finding
from streams.producer import partition_of
from streams.settings import Settings
from streams.store import KEEP_MS, UserStore
from streams.story import Dated, Seen, Story, account_at, base_of, seen

BEFORE_MS, AFTER_MS = 3 * DAY_MS, 3_600_000
"""How long before a decision its crossing, draft and assessment may lie, and how long after it its copies."""
_REDIS_TIMEOUT_S = 5.0

Source = Literal["redis", "topics", "none"]


class _Dated(NamedTuple):
    """A record and when it was appended; both None where there is none."""

    append_ms: int | None
    record: Any


_NOTHING = _Dated(None, None)


def gather(settings: Settings, name: str, user: str | None, source: Source, now_ms: int) -> Story:
    """The story of the decision `name`, of `user` (`tenant/user_id`) where that is known: less is read then.

    `source` is where the user's events are read from. A long user's topics take long.

    Raises:
        InputError: there is no such decision.
        UnavailableError: the broker, or Redis where it is the source, does not answer.
    """
    partition = None if user is None else partition_of(user.encode())
    with finding(settings.bootstrap_servers) as finder:
        there = finder.newest_first(DECISIONS, now_ms, partition)
        found = next((one for one in _read(there, Decision, user, name) if one.record.id == name), _NOTHING)
        if found.append_ms is None:
            of = "" if user is None else f" of {user}"
            raise InputError(f"topic {DECISIONS.name} has no decision {name!r}{of}")
        story = _of_topics(finder, found.record, found.append_ms)
        events: Iterable[Event] = ()
        if source == "topics":
            events = _events(finder, story.decision, story.appended.decision_ms)
    accounts: list[Account] = []
    if source == "redis":
        events, account = asyncio.run(_redis(settings.redis_url, story.decision))
        accounts += () if account is None else (account,)
    known = list(events)
    accounts += [event for event in known if isinstance(event, Account)]
    told = _account(story) or account_at(accounts, story.decision)
    if told is None:
        with finding(settings.bootstrap_servers) as finder:
            known_then = _accounts(finder, story.decision, story.appended.decision_ms)
        told = account_at(known_then, story.decision)
    shown: Seen | None = None if source == "none" else seen(known, story.decision, source)
    examples = _examples(settings.bootstrap_servers, story.decision)
    return msgspec.structs.replace(story, account=told, seen=shown, examples=examples)


def _of_topics(finder: Finder, decision: Decision, append_ms: int) -> Story:
    key, base = f"{decision.tenant}/{decision.user_id}", base_of(decision.id)
    partition, since_ms, until_ms = partition_of(key.encode()), append_ms - BEFORE_MS, append_ms + AFTER_MS

    def all_of(topic: Topic, kind: type[Any], begin_ms: int, end_ms: int | None, text: str) -> list[_Dated]:
        return list(_read(finder.between(topic, begin_ms, end_ms, partition), kind, key, text))

    def first(topic: Topic, kind: type[Any], name: Callable[[Any], str]) -> _Dated:
        found = all_of(topic, kind, since_ms, until_ms, base)
        return next((one for one in found if name(one.record) == decision.id), _NOTHING)

    family = all_of(DECISIONS, Decision, since_ms, append_ms + BEFORE_MS, base)
    copies = [one for one in family if one.record.id == decision.id]
    request = first(DRAFT_REQUESTS, DraftRequest, lambda one: str(one.crossing.id))
    drafts = [one for one in all_of(DRAFTS, Draft, since_ms, until_ms, base) if one.record.id == decision.id]
    told = None if decision.script is None else decision.script.rung
    drafts.sort(key=lambda one: one.record.rung is not told)  # before a draft one may have stood in for it
    draft = next(iter(drafts), _NOTHING)
    crossing = first(CROSSINGS, Crossing, lambda one: str(one.id))
    sent = first(INTERVENTIONS, Decision, lambda one: str(one.id))
    risk = _NOTHING
    if decision.cause is Cause.RISK:
        for one in all_of(RISKS, Risk, since_ms, until_ms, ""):
            if decision_id(decision.tenant, decision.user_id, Cause.RISK, one.record.event_id) == base:
                risk = one
                break
    outcomes = all_of(OUTCOMES, UserOutcome, append_ms, None, decision.id)
    return Story(
        decision=decision,
        copies=max(1, len(copies)),
        appended=Dated(
            request_ms=request.append_ms,
            draft_ms=draft.append_ms,
            risk_ms=risk.append_ms,
            crossing_ms=crossing.append_ms,
            decision_ms=min((one.append_ms or 0 for one in copies), default=append_ms),
            intervention_ms=sent.append_ms,
        ),
        request=request.record,
        draft=draft.record,
        crossing=crossing.record,
        risk=risk.record,
        others=tuple({one.record.id: one.record for one in family if one not in copies}.values()),
        outcomes=tuple(
            {
                one.record.outcome_id: one.record for one in outcomes if one.record.decision_id == decision.id
            }.values()
        ),
    )


def _read(records: Iterable[Record], kind: type[Any], key: str | None, text: str) -> Iterator[_Dated]:
    """The records of `kind` that hold `text`, and are the user's where a `key` is given.

    Most are passed over without being decoded.
    """
    decoder = msgspec.json.Decoder(kind)
    wanted, owner = text.encode(), None if key is None else key.encode()
    for record in records:
        if record.value is None or wanted not in record.value or owner not in (None, record.key):
            continue
        try:
            yield _Dated(record.append_ms, decoder.decode(record.value))
        except msgspec.DecodeError:
            continue  # who else writes to the topic is not this decision


def _account(story: Story) -> Account | None:
    """The account as the operator had it, where a record that carries it is still there."""
    if story.crossing is not None:
        return story.crossing.account
    is_drafted = story.decision.script is not None and "model" not in story.decision.timing.steps
    return story.request.crossing.account if is_drafted and story.request is not None else None


def _examples(bootstrap_servers: str, decision: Decision) -> tuple[Example, ...] | None:
    """The scripts that the model was shown; None where their version is no longer there."""
    told = None if decision.script is None else decision.script.told
    if told is None or told.examples is None:
        return ()
    version = read_examples(bootstrap_servers).version(decision.tenant, told.examples.version)
    if version is None or max(told.examples.places) >= len(version.examples):
        return None
    return tuple(version.examples[place] for place in told.examples.places)


def _events(finder: Finder, decision: Decision, append_ms: int) -> list[Event]:
    """The user's events of the 30 days before, from their topics: all that was appended by the decision."""
    begin_ms = decision.at - KEEP_MS - MAX_AHEAD_MS
    return [one for topic in EVENT_TOPICS for one in _of_user(finder, topic, decision, begin_ms, append_ms)]


def _accounts(finder: Finder, decision: Decision, append_ms: int) -> list[Account]:
    found = _of_user(finder, ACCOUNT, decision, 0, append_ms)
    return [event for event in found if isinstance(event, Account)]


def _of_user(finder: Finder, topic: Topic, decision: Decision, begin_ms: int, end_ms: int) -> Iterator[Event]:
    owner = f"{decision.tenant}/{decision.user_id}".encode()
    for record in finder.between(topic, max(0, begin_ms), end_ms, partition_of(owner)):
        if record.key == owner:
            with suppress(RejectedEvent):
                event = parse(record.value)
                if not isinstance(event, Tick):
                    yield event


async def _redis(url: str, decision: Decision) -> tuple[list[Event], Account | None]:
    store = UserStore(url, timeout_s=_REDIS_TIMEOUT_S)
    try:
        key = f"{decision.tenant}/{decision.user_id}"
        return await store.read(key, decision.at), await store.account(key)
    finally:
        await store.close()
