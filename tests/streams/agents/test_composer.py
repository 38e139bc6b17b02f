"""From a crossing to its decision, with a store, a model and a clock of the test's own."""

import asyncio
from typing import Any

import msgspec
import pytest

from inference.client import Generation
from operators import templates
from schemas.decision import Crossing, Decision
from schemas.errors import BreakerOpen, DeadlineExceeded, HoldfastError, UnavailableError
from schemas.events import Account, Event, Login, Usage
from schemas.risk import Assessment
from schemas.tenant import Tenant
from schemas.vocabulary import Cause, HeldBy, Locale, Outcome, Reason, Rung, Strategy, Tier, Trigger
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.tenants import Tenants
from tests import records
from tests.streams.agents.fakes import NOW, Clock, Model, Store

HOUR_MS = 3_600_000
AT = 1_700_000_000_000


class Bench:
    """A composer with all that it asks."""

    def __init__(self, *events: Event, account: Account | None = None) -> None:
        self.clock = Clock()
        self.store = Store(self.clock, *events, account=account)
        self.model = Model(self.clock)
        self.tenants = Tenants({"acme": Tenant(product="Acme Cloud")})

        self.segments = Segments(self.model, Prompter(), self.clock)
        self.composer = Composer(
            author=Author(self.store, self.tenants),
            model=self.model,
            segments=self.segments,
            prompter=Prompter(),
            budget_ms=50,
            publish_margin_ms=10,
            clock=self.clock,
        )

    def compose(self, crossing: Crossing) -> Decision:
        return asyncio.run(self.composer.compose(crossing))


ANN = Account(event_id="a1", tenant="acme", user_id="u/1", ts=AT - HOUR_MS, name="Ann", plan="pro")


def crossing(
    cause: Cause = Cause.DECLINE,
    account: Account | None = ANN,
    detected_ms: float = NOW - 5,
    recent: int = 6,
    no_draft: str = "",
) -> Crossing:
    return records.crossing(
        id="c1",
        user_id="u/1",
        cause=cause,
        at=AT,
        recent=recent,
        account=account,
        no_draft=no_draft,
        detected_ms=detected_ms,
    )


def test_what_the_model_writes_in_time_is_sent() -> None:
    bench = Bench()
    decision = bench.compose(crossing())
    assert decision.outcome is Outcome.SENT and decision.held_by is None
    assert decision.strategy is Strategy.RETENTION_OFFER
    script = decision.script
    assert script is not None
    assert script.text == (
        "Hi Ann, we would like Acme Cloud to be worth your while. Just reply if we can help."
    )
    assert (script.rung, script.model, script.model_version) == (Rung.LIVE, "holdfast-nano", "3")
    assert script.locale is Locale.EN
    assert bench.model.users == ["acme/u/1"], "it is this user's version that writes"


def test_the_record_has_what_the_author_was_told_but_not_the_name() -> None:
    script = Bench().compose(crossing()).script
    assert script is not None and script.told is not None
    assert script.told.facts["product"] == "Acme Cloud" and script.told.sentences
    assert script.told.named and "Ann" not in str(script.told)


def test_the_decision_is_about_the_crossing_and_times_each_step() -> None:
    decision = Bench().compose(crossing())
    assert (decision.id, decision.tenant, decision.user_id, decision.at) == ("c1", "acme", "u/1", AT)
    assert (decision.from_tier, decision.to_tier, decision.activity) == (Tier.MEDIUM, Tier.HIGH, 28.6)
    assert decision.timing.steps == {"queue": 5, "read": 2, "features": 0, "model": 11, "settle": 0}
    assert decision.timing.detected_ms == NOW - 5
    assert decision.timing.published_ms == NOW + 13


def test_the_model_gets_what_is_left_of_the_budget() -> None:
    bench = Bench()
    bench.compose(crossing())
    ((_, deadline_ms),) = bench.model.asked
    assert deadline_ms == NOW - 5 + 50 - 10


@pytest.mark.parametrize("detected_ms", [NOW - 38, NOW - 40, NOW - 86_400_000])
def test_after_the_deadline_the_template_is_sent_and_the_model_not_asked(detected_ms: float) -> None:
    bench = Bench()
    decision = bench.compose(crossing(detected_ms=detected_ms))
    assert bench.model.asked == []
    assert decision.script is not None
    assert (decision.script.rung, decision.script.model) == (Rung.TEMPLATE, templates.MODEL)
    assert decision.script.model_version == templates.VERSION
    assert decision.fallbacks[Rung.LIVE].startswith("DeadlineExceeded: not asked")


@pytest.mark.parametrize(
    "error", [UnavailableError("no Triton"), BreakerOpen("not asked"), DeadlineExceeded("late")]
)
def test_when_the_model_gives_nothing_the_template_is_sent_and_says_why(error: HoldfastError) -> None:
    bench = Bench()
    bench.model.text = error
    decision = bench.compose(crossing())
    assert decision.script is not None and decision.script.rung is Rung.TEMPLATE
    assert decision.fallbacks[Rung.LIVE] == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "text", ["Hi {{name}}, we give you 90% off for ever, just reply.", "{{#name}} oh", ""]
)
def test_a_script_that_must_not_be_sent_falls_to_the_template(text: str) -> None:
    bench = Bench()
    bench.model.text = text
    decision = bench.compose(crossing())
    assert decision.outcome is Outcome.SENT
    assert decision.script is not None and decision.script.rung is Rung.TEMPLATE
    assert Rung.LIVE in decision.fallbacks


def test_what_not_even_the_template_can_say_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "template_of", lambda profile: "{{product}} <b>for ever</b>")
    bench = Bench()
    bench.model.text = UnavailableError("no Triton")
    decision = bench.compose(crossing())
    assert (decision.outcome, decision.held_by, decision.script) == (Outcome.HELD, HeldBy.GUARD, None)
    assert set(decision.fallbacks) == set(Rung)


def test_the_events_of_the_last_30_days_give_the_reason() -> None:
    failing = [
        Usage(
            event_id=f"e{n}",
            tenant="acme",
            user_id="u/1",
            ts=AT - n * 10 * HOUR_MS,
            feature="export",
            outcome="error",
        )
        for n in range(1, 15)
    ]
    assert Bench(*failing).compose(crossing(recent=14)).reason is Reason.ERRORS


def test_without_redis_the_crossing_s_own_counts_do() -> None:
    bench = Bench(Login(event_id="e1", tenant="acme", user_id="u/1", ts=AT - 1))
    bench.store.down = True
    decision = bench.compose(crossing())
    assert decision.outcome is Outcome.SENT
    assert decision.reason is Reason.USAGE_DROP
    ((prompt, _),) = bench.model.asked
    assert "6 hours" in prompt and "logins_7d=no" in prompt


def test_the_account_comes_from_redis_where_the_crossing_has_none() -> None:
    li = Account(event_id="a2", tenant="acme", user_id="u/1", ts=AT, name="李雷", locale="zh-CN")
    decision = Bench(account=li).compose(crossing(account=None))
    assert decision.script is not None and decision.script.locale is Locale.ZH
    other = Bench(account=li).compose(crossing(account=ANN))
    assert other.script is not None and other.script.locale is Locale.EN


def test_the_boundary_itself_is_outside_and_a_risk_event_inside() -> None:
    bench = Bench()
    bench.compose(crossing())
    bench.compose(crossing(Cause.RISK))
    assert bench.store.asked == [("acme/u/1", AT - 1), ("acme/u/1", AT)]


def at_risk(trigger: Trigger) -> Crossing:
    assessment = Assessment(
        trigger=trigger,
        probability=0.7,
        words={},
        reasons=(),
        model="risk",
        model_version="1",
        assessed_ms=NOW - 3,
    )
    return msgspec.structs.replace(crossing(Cause.RISK, recent=20), risk=assessment)


def test_a_risk_crossing_s_decision_tells_the_risk_and_the_time_of_its_assessment() -> None:
    one = at_risk(Trigger.SUPPORT)
    decision = Bench().compose(one)
    assert (decision.cause, decision.risk) == (Cause.RISK, one.risk)
    assert list(decision.timing.steps.items())[:3] == [("assess", 2), ("queue", 3), ("read", 2)]


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        (Trigger.SUPPORT, Reason.SUPPORT),
        (Trigger.ERRORS, Reason.ERRORS),
        (Trigger.ACCOUNT, Reason.STEADY),
    ],
)
def test_a_script_at_a_risk_is_about_what_happened_where_nothing_has_dropped(
    trigger: Trigger, reason: Reason
) -> None:
    assert Bench().compose(at_risk(trigger)).reason is reason
    dropped = msgspec.structs.replace(at_risk(trigger), recent=2)
    assert Bench().compose(dropped).reason is Reason.USAGE_DROP


def test_warming_up_has_one_script_written_with_time_to_spare() -> None:
    bench = Bench()
    asyncio.run(bench.composer.warm_up())
    ((_, deadline_ms),) = bench.model.asked
    assert deadline_ms == NOW + 10_000


def test_a_sequence_that_lags_is_not_told() -> None:
    lagging = [Login(event_id="e1", tenant="acme", user_id="u/1", ts=AT - HOUR_MS)]
    bench = Bench(*lagging)
    bench.compose(crossing(recent=2))
    bench.compose(crossing(recent=1))
    (first, _), (second, _) = bench.model.asked
    assert "logins_7d=no" in first and "logins_7d=yes" in second


def test_the_model_is_not_asked_while_it_is_slower_than_the_time_left_and_again_after_a_while() -> None:
    bench = Bench()
    bench.model.text, bench.model.takes_ms = DeadlineExceeded("late"), 36.0
    asked = []
    for _ in range(60):
        before = len(bench.model.asked)
        decision = bench.compose(crossing(detected_ms=bench.clock.now_ms - 2))
        asked.append(len(bench.model.asked) > before)
        assert decision.script is not None and decision.script.rung is Rung.TEMPLATE
    assert 0 < sum(asked[20:]) < 20
    assert "not asked" in decision.fallbacks[Rung.LIVE] or asked[-1]


async def test_of_many_who_cross_at_once_the_model_is_asked_for_those_alone_whom_it_can_still_serve() -> None:
    """A model that writes one script at a time, 15 ms for each: of eight at once two are in time."""
    bench = Bench()
    writing = asyncio.Lock()

    async def one_by_one(
        prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0, write: Any = bench.model.generate
    ) -> Generation:
        async with writing:
            await asyncio.sleep(0)
            made: Generation = await write(prompt, deadline_ms, user, seed=seed)
            return made

    bench.model.takes_ms = 15.0
    bench.store.takes_ms = 0.0
    bench.model.generate = one_by_one  # type: ignore[method-assign]  # the fake answers all at the same time
    for _ in range(20):  # the pace becomes known
        await bench.composer.compose(crossing(detected_ms=bench.clock.now_ms))
    begun_ms, before = bench.clock.now_ms, len(bench.model.asked)
    decisions = await asyncio.gather(
        *(bench.composer.compose(crossing(detected_ms=begun_ms)) for _ in range(8))
    )
    rungs = [decision.script.rung for decision in decisions if decision.script is not None]
    assert len(bench.model.asked) - before == 2
    assert (rungs.count(Rung.LIVE), rungs.count(Rung.TEMPLATE)) == (2, 6)
    assert sum("not asked" in decision.fallbacks.get(Rung.LIVE, "") for decision in decisions) == 6


def test_each_rung_above_says_why_it_gave_nothing() -> None:
    bench = Bench()
    bench.model.text = UnavailableError("no Triton")
    decision = bench.compose(crossing(no_draft="asked for, and not there yet"))
    assert decision.fallbacks == {
        Rung.LIVE: "UnavailableError: no Triton",
        Rung.DRAFT: "asked for, and not there yet",
        Rung.SEGMENT: "none is ready",
    }


async def test_a_segment_s_script_is_written_once_and_filled_in_for_each_of_its_users() -> None:
    bench = Bench()
    live, bench.model.text = bench.model.text, UnavailableError("no Triton")
    await bench.composer.compose(crossing())
    bench.model.text = live
    writing = asyncio.create_task(bench.segments.write_for_ever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.cancel()
    bench.model.text = UnavailableError("no Triton again")
    bench.clock.now_ms += 5_000
    ben = msgspec.structs.replace(ANN, name="Ben")
    decision = await bench.composer.compose(crossing(account=ben, detected_ms=bench.clock.now_ms))
    script = decision.script
    assert script is not None and script.rung is Rung.SEGMENT
    assert script.text.startswith("Hi Ben, we would like Acme Cloud")
    assert (script.model, script.model_version) == ("holdfast-nano", "3")
    assert script.age_ms >= 5_000
    other = msgspec.structs.replace(ANN, plan="free")
    decision = await bench.composer.compose(crossing(account=other, detected_ms=bench.clock.now_ms))
    assert decision.script is not None and decision.script.rung is Rung.TEMPLATE


async def test_each_version_has_segments_of_its_own_and_finds_them_again_after_a_rollback() -> None:
    bench = Bench()
    author = Author(bench.store, bench.tenants)
    found = await author.read(crossing())
    profiles = [
        author.profile(crossing(account=msgspec.structs.replace(ANN, plan=plan)), found)
        for plan in ("pro", "free")
    ]

    async def have_written() -> None:
        writing = asyncio.create_task(bench.segments.write_for_ever())
        for _ in range(4):
            await asyncio.sleep(0)
        writing.cancel()

    for profile in profiles:
        bench.segments.want(profile, "acme/u/1")
    await have_written()
    first = bench.segments.of(profiles[0], "acme/u/1")
    assert first is not None and first.made.model_version == "3"

    bench.model.version = "4"
    assert bench.segments.of(profiles[0], "acme/u/1") is None, "another version's script is not this one's"
    await have_written()
    for profile in profiles:  # the second was not asked for since the promotion
        rewritten = bench.segments.of(profile, "acme/u/1")
        assert rewritten is not None and rewritten.made.model_version == "4"

    bench.model.version = "3"
    assert bench.segments.of(profiles[0], "acme/u/1") == first
