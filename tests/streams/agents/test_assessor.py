"""Who is assessed, at what, and what is published of it; store, scorer and clock are the test's own."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from operators.window import PANE_MS
from schemas.codec import encode
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from schemas.risk import Burst, Risk, Sentiment
from schemas.tenant import Tenant
from schemas.vocabulary import Locale, Trigger
from streams.agents import assessor
from streams.agents.agent import Received
from streams.agents.assessor import REASONS, STALE_MS, TRIES, Assessor, Score
from streams.tenants import Tenants
from tests.streams.agents.fakes import NOW, Clock, Store

AT = int(NOW) - 40
WHO = {"tenant": "acme", "user_id": "u/1"}
COMPLAINT = Support(event_id="s1", ts=AT, text="The export fails again!", **WHO)
CHANGE = Account(event_id="a2", ts=AT, plan="free", **WHO)
FAILURES = tuple(
    Usage(event_id=f"f{n}", ts=AT + n * 1000 - 2000, feature="export", outcome="error", **WHO)
    for n in range(3)
)
BURST = Burst(event_id="f2", ts=AT, failures=FAILURES, **WHO)
TOPICS = {Support: "events.support", Account: "events.account", Burst: "bursts"}
LOGINS = tuple(Login(event_id=f"e{n}", ts=AT - n * PANE_MS, **WHO) for n in range(5, 0, -1))
EFFECTS = {"quiet": 0.1, "errors": 1.5, "logins": -2.0, "usage": 0.3, "tenure": 0.2, "age": 0.01}
SAD = Sentiment(negative=0.9, neutral=0.1, positive=0.0, model_version="4")


class Scorer:
    """Gives everybody 0.7, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Event, ...], Account | None, int]] = []

    def score(self, key: str, events: Sequence[Event], account: Account | None, as_of_ms: int) -> Score:
        assert key == "acme/u/1"
        self.asked.append((tuple(events), account, as_of_ms))
        return Score(0.7, dict.fromkeys(EFFECTS, 3.0) | {"age": None}, lambda: EFFECTS, "risk", "7", SAD)


class Bench:
    """An assessor of one user, whom Redis knows by `events`."""

    def __init__(self, *events: Event, account: Account | None = None, threshold: float = 0.5) -> None:
        tenants = Tenants({"acme": Tenant(product="Acme", risk_threshold=threshold)})
        self.clock = Clock()
        self.store = Store(self.clock, *(events or LOGINS), account=account)
        self.scorer = Scorer()
        self.assessor = Assessor(self.store, self.scorer, tenants, self.clock)

    def assess(self, event: Support | Account | Burst | Event | Tick, append_ms: int = AT + 3) -> Risk | None:
        key = None if isinstance(event, Tick) else event.key.encode()
        topic = TOPICS.get(type(event), "events.support")
        return asyncio.run(self.assessor.assess(Received(topic, key, encode(event), append_ms)))


@pytest.mark.parametrize(
    ("event", "trigger"),
    [(COMPLAINT, Trigger.SUPPORT), (CHANGE, Trigger.ACCOUNT), (BURST, Trigger.ERRORS)],
    ids=["support", "account", "burst"],
)
def test_an_assessment_tells_of_the_event_the_model_and_its_reasons(
    event: Support | Account | Burst, trigger: Trigger
) -> None:
    risk = Bench().assess(event)
    assert risk is not None
    assert (risk.event_id, risk.key, risk.at) == (event.event_id, "acme/u/1", AT)
    assert (risk.detected_ms, risk.assessment.assessed_ms) == (AT + 3, NOW + 2)
    assessment = risk.assessment
    assert (assessment.trigger, assessment.probability) == (trigger, 0.7)
    assert (assessment.model, assessment.model_version, assessment.sentiment) == ("risk", "7", SAD)
    assert [(r.signal, r.value, r.effect) for r in assessment.reasons[:2]] == [
        ("errors", 3.0, 1.5),
        ("usage", 3.0, 0.3),
    ]
    assert len(assessment.reasons) == REASONS
    assert risk.signals.keys() == EFFECTS.keys()
    assert assessment.words[Locale.EN] == ("A customer for 3 days", "Last active 3 days ago")
    assert assessment.words[Locale.ZH][1] == "最近一次活跃在3天前"
    assert msgspec.json.decode(encode(risk), type=Risk) == risk


def test_reasons_are_told_only_of_who_may_cross() -> None:
    risk = Bench(threshold=0.7).assess(COMPLAINT)
    assert risk is not None
    assert risk.assessment.probability == 0.7
    assert risk.assessment.reasons == ()


def test_the_event_itself_counts_before_redis_has_it_and_once_when_it_has() -> None:
    for bench in (Bench(), Bench(*LOGINS, COMPLAINT)):
        bench.assess(COMPLAINT)
        ((events, _, as_of_ms),) = bench.scorer.asked
        assert events == (*LOGINS, COMPLAINT)
        assert as_of_ms == AT + 1
        assert bench.store.asked == [("acme/u/1", AT)]


def test_a_burst_s_uses_count_in_their_order_whether_redis_has_them_or_not() -> None:
    meanwhile = Login(event_id="e6", ts=AT - 500, **WHO)
    for known in ((), FAILURES[:1], FAILURES[:2]):
        bench = Bench(*LOGINS, *known, meanwhile)
        bench.assess(BURST)
        assert bench.scorer.asked[0][0] == (*LOGINS, *FAILURES[:2], meanwhile, FAILURES[2])


def test_nobody_is_judged_by_a_burst_alone() -> None:
    bench = Bench()
    bench.store.found = msgspec.structs.replace(bench.store.found, events=())
    assert bench.assess(BURST) is None


def test_the_newest_account_record_counts() -> None:
    older, newer = (
        msgspec.structs.replace(CHANGE, event_id=f"a{ts}", ts=ts, seats=5) for ts in (AT - 1, AT + 1)
    )
    for known, told, expected in (
        (None, CHANGE, CHANGE),
        (older, CHANGE, CHANGE),
        (newer, CHANGE, newer),
        (older, COMPLAINT, older),
    ):
        bench = Bench(account=known)
        bench.assess(told)
        assert bench.scorer.asked[0][1] == expected


def test_an_account_record_that_changes_nothing_is_no_occasion() -> None:
    before = msgspec.structs.replace(CHANGE, event_id="a1", ts=AT - 9, tenure_days=4)
    older = msgspec.structs.replace(CHANGE, event_id="a0", ts=AT - 99, plan="pro")
    for bench in (Bench(account=before), Bench(*LOGINS, older, before, CHANGE, account=CHANGE)):
        assert bench.assess(CHANGE) is None
        assert bench.scorer.asked == []
    assert Bench(*LOGINS, before, older, account=older).assess(CHANGE) is None
    assert Bench(*LOGINS, older, account=CHANGE).assess(CHANGE) is not None
    assert Bench(account=CHANGE).assess(CHANGE) is not None, "what was before is not known"
    later = msgspec.structs.replace(before, ts=AT + 1)
    assert Bench(account=later).assess(CHANGE) is not None


def test_active_hours_are_the_user_s_own() -> None:
    later = Usage(event_id="x", ts=AT - 5 * PANE_MS + 1, feature="export", **WHO)
    old = Login(event_id="y", ts=AT - 30 * 24 * PANE_MS, **WHO)
    risk = Bench(*LOGINS, later, old).assess(COMPLAINT)
    assert risk is not None and risk.active_hours in (len(LOGINS), len(LOGINS) + 1)
    alone = Bench(LOGINS[-1], later).assess(COMPLAINT)
    assert alone is not None and alone.active_hours == 2


@pytest.mark.parametrize(
    "event",
    [
        Tick(ts=AT),
        LOGINS[0],
        msgspec.structs.replace(COMPLAINT, replay=Replay(until=AT)),
        msgspec.structs.replace(COMPLAINT, ts=AT + 3_600_000),
    ],
    ids=["tick", "login", "history", "rejected"],
)
def test_what_is_no_occasion_is_passed_over_before_redis_is_asked(event: Event | Tick) -> None:
    bench = Bench()
    assert bench.assess(event) is None
    assert bench.store.asked == bench.scorer.asked == []


def test_a_replay_that_composes_is_assessed() -> None:
    bench = Bench()
    assert bench.assess(msgspec.structs.replace(COMPLAINT, replay=Replay(until=AT, compose=True)))
    assert bench.scorer.asked[0][0] == (*LOGINS, COMPLAINT)


def test_what_waited_too_long_is_passed_over() -> None:
    for waited_ms, is_assessed in ((STALE_MS + 1, False), (STALE_MS, True)):
        then = int(NOW) - waited_ms
        bench = Bench()
        risk = bench.assess(msgspec.structs.replace(COMPLAINT, ts=then), append_ms=then)
        assert (risk is not None) is is_assessed


def test_a_user_of_whom_nothing_is_known_is_not_assessed() -> None:
    bench = Bench(COMPLAINT)
    assert bench.assess(COMPLAINT) is None
    assert bench.scorer.asked == []


def test_without_redis_nobody_is_assessed_and_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessor, "PAUSE_S", 0.0)
    bench = Bench()
    bench.store.down = True
    assert bench.assess(COMPLAINT) is None
    assert (len(bench.store.asked), bench.scorer.asked, bench.assessor.missed) == (TRIES, [], 1)
    bench.store.down = False
    assert bench.assess(COMPLAINT) is not None
