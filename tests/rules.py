"""Rules, users and their records as chance makes them, for what must hold of all of them."""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.decision import Crossing, Decision, Draft, DraftRequest
from schemas.events import Account, Event, Login, Replay, Support
from schemas.policy import Arm, Cap, Experiment, Policy, QuietHours, RuleBook, Rules, Treatment
from schemas.topics import TOPIC_OF_KIND
from schemas.vocabulary import TIERS, HeldBy, Locale, Reason, Rung, Strategy
from streams.memory import Memory
from tests.streams.conftest import Engine

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour of summer time
    "America/Sao_Paulo",  # skipped a midnight in 2018
    "Asia/Beirut",  # skips one every spring
    "America/St_Johns",  # put its clock back a minute after midnight, until 2011
    "Pacific/Apia",  # had no 30 December in 2011
    "Mars/Olympus",
    None,
)
NIGHTS = tuple(
    int(datetime(*day, tzinfo=UTC).timestamp() * 1000)
    for day in (
        (2005, 10, 30),
        (2011, 12, 30),
        (2018, 11, 4),
        (2024, 3, 31),
        (2024, 4, 7),
        (2024, 10, 6),
        (2024, 10, 27),
    )
)
"""Days on whose nights a clock of `ZONES` changes."""

clock_times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
quiet_hours = (
    st.tuples(clock_times, clock_times)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: QuietHours(begin=pair[0], end=pair[1]))
)
caps = st.builds(Cap, scripts=st.integers(0, 4), days=st.sampled_from([1, 2, 7, 31]))
tiers = st.sampled_from(TIERS)
treatments = st.builds(
    Treatment,
    hold=st.booleans(),
    rung=st.sampled_from([None, None, Rung.DRAFT, Rung.TEMPLATE]),
    strategy=st.sampled_from([None, *Strategy]),
    offer=st.sampled_from([None, "", "gift"]),
)
weights = st.sampled_from([(0.5, 0.3, 0.2), (1.0, 0.0, 0.0), (0.0, 0.1, 0.9), (0.7, 0.2, 0.1)])


@st.composite
def experiments(draw: st.DrawFn) -> tuple[Experiment, ...]:
    """Some, in two layers."""

    def one(name: str, layer: str, begin: float, end: float) -> Experiment:
        names = ("as_ever", "other", "none")
        of_arms = (Treatment(), draw(treatments), draw(treatments))
        return Experiment(
            name=name,
            layer=layer,
            begin=begin,
            end=end,
            per_decision=draw(st.booleans()),
            tiers=tuple(draw(st.lists(tiers, max_size=3, unique=True))),
            arms=tuple(
                Arm(name=name, weight=weight, treatment=treatment)
                for name, weight, treatment in zip(names, draw(weights), of_arms, strict=True)
            ),
            by_context=draw(
                st.dictionaries(st.sampled_from(["high", "high/pro", "critical/free"]), weights, max_size=2)
            ),
        )

    whole = (one("a", "x", 0, 0.5), one("b", "x", 0.5, 1), one("c", "y", 0, 0.8))
    return tuple(draw(st.lists(st.sampled_from(whole), max_size=3, unique_by=lambda each: each.name)))


policies = st.builds(
    Policy,
    time_zone=st.sampled_from([zone for zone in ZONES if zone is not None]),
    caps=st.lists(caps, max_size=2).map(tuple),
    quiet_hours=st.none() | quiet_hours,
    passes=st.dictionaries(
        tiers,
        st.lists(
            st.sampled_from([HeldBy.FREQUENCY_CAP, HeldBy.QUIET_HOURS, HeldBy.COOLDOWN]), unique=True
        ).map(tuple),
        max_size=2,
    ),
    cooldown_days=st.sampled_from([0, 0, 1, 10]),
    offers_per_day=st.sampled_from([None, None, 0, 1]),
    suppressed=st.sampled_from([frozenset[str](), frozenset({"u1"})]),
    dry_run=st.sampled_from([False, False, True]),
    holdout=st.sampled_from([0.0, 0.0, 0.4]),
    experiments=st.just(()) | experiments(),
)


def books(begin_ms: int, end_ms: int) -> st.SearchStrategy[RuleBook]:
    """A few versions that begin to hold within a time."""
    since = st.just(begin_ms) | st.integers(begin_ms, end_ms)
    one = st.tuples(since, policies, st.dictionaries(st.just("other"), policies, max_size=1))
    return st.lists(one, max_size=3).map(
        lambda found: RuleBook(
            Rules(version=f"v{n}", since=since, default=default, tenants=tenants)
            for n, (since, default, tenants) in enumerate(found)
        )
    )


KEYS = ("acme/u1", "acme/u2", "other/u1")
DAYS = 70


def history(rnd: random.Random, begin_ms: int, replay: Replay) -> list[Event]:
    """What some users do in `DAYS` days: habits that come and go, and accounts that change."""
    events: list[Event] = []
    for key in KEYS:
        tenant, _, user_id = key.partition("/")
        who = {"tenant": tenant, "user_id": user_id, "replay": replay}
        hour = rnd.randrange(48)
        while hour < DAYS * 24:
            share, end = rnd.choice((0.0, 0.01, 0.05, 0.1, 0.4)), hour + rnd.randrange(12, 15 * 24)
            for active in range(hour, min(end, DAYS * 24)):
                if rnd.random() < share:
                    ts = begin_ms + active * HOUR_MS + rnd.randrange(HOUR_MS)
                    kind = Support if rnd.random() < 0.05 else Login
                    extra = {"text": "Hello?"} if kind is Support else {}
                    events.append(kind(event_id=f"e{len(events)}", ts=ts, **who, **extra))
            hour = end
        for number in range(rnd.choice((0, 1, 5))):
            ts = begin_ms + rnd.randrange(DAYS * DAY_MS)
            for copy in range(rnd.choice((1, 1, 2))):  # two of the same time: the greater id counts
                stated = {
                    "plan": rnd.choice(("free", "pro")),
                    "time_zone": rnd.choice(ZONES),
                    "consent": rnd.random() < 0.8,
                }
                events.append(Account(event_id=f"a{number}.{copy}", ts=ts, **who, **stated))
    return events


class Arrival(NamedTuple):
    """A record, and where event time may stand at most when it comes: its moment less the bound."""

    moment: float
    event: Event


def arrivals(rnd: random.Random, events: Iterable[Event], bound_ms: int) -> list[Arrival]:
    """The records as they come: some twice, none in order, and an account before its time, or long before."""
    found: list[Arrival] = []
    for event in events:
        for _ in range(1 + (rnd.random() < 0.05)):
            moment = event.ts + rnd.random() * bound_ms
            if isinstance(event, Account) and rnd.random() < 0.5:
                moment -= rnd.random() * DAYS * DAY_MS
            found.append(Arrival(moment, event))
    return sorted(found, key=lambda arrival: arrival.moment)


def run(rnd: random.Random, engine: Memory, coming: list[Arrival], until_ms: int) -> None:
    """The records and the answers to requests for drafts, with failures: some are sent again after one."""
    failures = sorted(rnd.sample(range(len(coming)), k=min(2, len(coming))))
    begin, answered = 0, len(engine.published("drafts.requests"))
    kept = engine.checkpoint()
    for end in [*failures, len(coming)]:
        saved_at = rnd.randint(begin, max(begin, end - 1))
        for number in range(begin, end):
            if number == saved_at:
                kept = engine.checkpoint()
            moment, event = coming[number]
            topic = TOPIC_OF_KIND[event.__struct_config__.tag].name  # type: ignore[index]  # a tag is a word
            engine.send(topic, event.key.encode(), encode(event))
            if rnd.random() < 0.1 and moment > 0:
                engine.tick(int(moment))
                answered = _answer(rnd, engine, answered)
        if end < len(coming):
            engine.restore(kept)
            begin = saved_at
    engine.tick(until_ms + engine.bound_ms)


def _answer(rnd: random.Random, engine: Memory, answered: int) -> int:
    requests = engine.published("drafts.requests")
    for record in requests[answered:]:
        if rnd.random() < 0.5:
            draft = answer_to(msgspec.json.decode(record.value, type=DraftRequest))
            engine.send("drafts", draft.key.encode(), encode(draft))
    return len(requests)


def answer_to(request: DraftRequest) -> Draft:
    """What the drafter would send."""
    crossing = request.crossing
    assert crossing.ruling is not None
    return Draft(
        id=crossing.id,
        tenant=crossing.tenant,
        user_id=crossing.user_id,
        at=crossing.at,
        asked_at=request.asked_at,
        reason=Reason.LOGIN_DROP,
        treatment=crossing.ruling.treatment,
        text="Hi Ann, how are you?",
        locale=Locale.EN,
        model="holdfast-nano",
        model_version="1",
        written_ms=1.0,
    )


def settled(engine: Memory | Engine) -> Iterator[Decision | Crossing]:
    """What has been decided: held, with a draft, or (a crossing) for the composer to word."""
    for record in engine.published("decisions"):
        yield msgspec.json.decode(record.value, type=Decision)
    for record in engine.published("crossings"):
        yield msgspec.json.decode(record.value, type=Crossing)
