"""A decision is made again from its records; a record that was changed is found out."""

import asyncio
from typing import Any

import msgspec
import pytest

from operators.budget import Spent, spend
from operators.calendar import day_of, zone
from operators.policy import ORDER, rule
from operators.window import PANE_MS
from schemas.codec import encode
from schemas.decision import Crossing, Decision, Draft, Script, decision_id
from schemas.errors import DeadlineExceeded, UnavailableError
from schemas.events import Account, Event, Login, Replay, Support, Usage
from schemas.policy import Arm, Cap, Experiment, Policy, QuietHours, RuleBook, Rules
from schemas.tenant import Tenant
from schemas.vocabulary import Cause, HeldBy, Locale, Rung, Strategy, Tier
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.checks import Check, Verdict
from streams.memory import Memory
from streams.remaking import Models
from streams.story import Dated, Story, account_at, answers, base_of, rerun, seen
from streams.tenants import Tenants
from tests import records
from tests.streams.agents.fakes import Clock, Model, Store

DAY_MS = 24 * PANE_MS
UNTIL_MS = 20_000 * DAY_MS
ANN = Account(event_id="a1", tenant="acme", user_id="u1", ts=UNTIL_MS - DAY_MS, name="Ann", plan="pro")
RULES = Rules(
    version="v1",
    default=Policy(
        quiet_hours=QuietHours(begin="00:00", end="23:00"),
        caps=(Cap(scripts=9),),
        passes={Tier.LOW: (HeldBy.QUIET_HOURS,)},
        experiments=(Experiment(name="e", arms=(Arm(name="a", weight=0.5), Arm(name="b", weight=0.5))),),
    ),
)
BOOK = RuleBook([RULES])
TENANTS = Tenants({"acme": Tenant(product="Acme Cloud")})


def events() -> list[Event]:
    replay = Replay(until=UNTIL_MS)
    return [
        Login(
            event_id=f"e{day}-{hour}",
            tenant="acme",
            user_id="u1",
            ts=UNTIL_MS - day * DAY_MS + hour * PANE_MS,
            replay=replay,
        )
        for day in range(40, 0, -1)
        for hour in (9, 13, 17)
    ]


def lived() -> Memory:
    """The stream after three days in which a user of 40 active days did nothing."""
    engine = Memory(book=BOOK, now_ms=UNTIL_MS)
    for event in events():
        engine.send("events.login", b"acme/u1", encode(event))
    engine.tick(UNTIL_MS + engine.bound_ms)
    engine.send("events.account", b"acme/u1", encode(ANN))
    engine.now_ms = UNTIL_MS + 4 * DAY_MS
    engine.tick(engine.now_ms)
    return engine


def composed(crossing: Crossing, model: Any = None) -> Decision:
    clock = Clock()
    clock.now_ms = crossing.detected_ms
    writer = model(clock) if isinstance(model, type) else Model(clock, model or DeadlineExceeded("late"))
    composer = Composer(
        author=Author(Store(clock), TENANTS),
        model=writer,
        segments=Segments(writer, Prompter(), clock),
        prompter=Prompter(),
        budget_ms=50,
        publish_margin_ms=10,
        clock=clock,
    )
    return asyncio.run(composer.compose(crossing))


def story(decision: Decision, **known: Any) -> Story:
    shown = seen(events(), decision, "topics")
    return Story(decision=decision, appended=Dated(decision_ms=1), account=ANN, seen=shown, **known)


def first_crossing() -> Crossing:
    return msgspec.json.decode(lived().published("crossings")[0].value, type=Crossing)


def verdicts(checks: list[Check]) -> dict[str, Verdict]:
    return {check.what: check.verdict for check in checks}


def differing(checks: list[Check]) -> set[str]:
    return {check.what for check in checks if check.verdict is Verdict.DIFFERS}


SCRIPT = "Hi {{name}}, how is {{product}} for you these days? Just reply."


class Here:
    """The models on this machine: one that always writes the same, and of the others those given."""

    def __init__(self, risk: Any = None, sentiment: Any = None) -> None:
        self._risk, self._sentiment = risk, sentiment

    def risk(self, version: str) -> Any:
        if self._risk is None:
            raise UnavailableError("not here")
        return self._risk

    def sentiment(self, version: str) -> Any:
        if self._sentiment is None:
            raise UnavailableError("not here")
        return self._sentiment

    def text(self, script: Script, asked: str) -> str:
        return SCRIPT


def again(told: Story, book: RuleBook = BOOK, models: Models | None = None) -> list[Check]:
    return rerun(told, book, TENANTS, models or Here())


def test_what_the_stream_decided_is_decided_again_from_the_record() -> None:
    told = story(composed(first_crossing()))
    assert told.decision.script is not None and told.decision.script.rung is Rung.TEMPLATE
    checks = again(told)
    assert {check.verdict for check in checks} == {Verdict.SAME}
    assert {
        "id",
        "recent and prior",
        "usual",
        "tier",
        "ruling",
        "arms",
        "text of the template",
        "guard",
    } <= set(verdicts(checks))


def test_what_was_put_off_is_decided_again_as_well() -> None:
    engine = lived()
    held = [msgspec.json.decode(record.value, type=Decision) for record in engine.published("decisions")]
    assert HeldBy.QUIET_HOURS in {one.held_by for one in held}
    for one in held:
        assert differing(again(story(one))) == set()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"id": "0" * 32}, {"id"}),
        ({"usual": 20.0}, {"usual", "activity"}),
        ({"tenure": 400}, {"usual"}),
        ({"activity": 5.0}, {"activity", "tier"}),
        ({"to_tier": Tier.CRITICAL}, {"tier"}),
        ({"held_by": HeldBy.CONSENT}, {"outcome"}),
    ],
)
def test_a_changed_record_is_found_out(change: dict[str, Any], found: set[str]) -> None:
    changed = msgspec.structs.replace(composed(first_crossing()), **change)
    assert differing(again(story(changed))) >= found


def test_a_changed_text_or_fact_is_found_out() -> None:
    decision = composed(first_crossing())
    script = decision.script
    assert script is not None and script.told is not None
    other = msgspec.structs.replace(script, text=script.text + " Now 90% off!")
    assert differing(again(story(msgspec.structs.replace(decision, script=other)))) == {
        "text of the template",
        "guard",
    }


def test_other_rules_under_the_same_name_and_other_versions_are_found_out() -> None:
    told = story(composed(first_crossing()))
    strict = RuleBook([msgspec.structs.replace(RULES, default=Policy(caps=(Cap(scripts=0),)))])
    assert differing(again(told, strict)) >= {"ruling", "arms"}
    late = RuleBook([RULES, Rules(version="v2", since=1)])
    assert differing(again(told, late)) == {"version of the rules"}
    gone = again(told, RuleBook())
    assert verdicts(gone)["ruling"] is Verdict.UNCHECKED


def test_a_budget_of_offers_decides_again_by_how_many_there_were() -> None:
    bounded = RuleBook([msgspec.structs.replace(RULES, default=Policy(offers_per_day=5))])
    crossing = first_crossing()
    assert crossing.ruling is not None
    ruling = rule(bounded.at(0), crossing, crossing.ruling.standing)
    for before, held_by in ((4, None), (5, HeldBy.OFFER_BUDGET)):
        spent = Spent(day_of(crossing.at, zone("UTC")), before)
        _, decided = spend(spent, bounded.at(0).default, msgspec.structs.replace(crossing, ruling=ruling))
        decision = composed(decided)
        assert decision.ruling is not None and decision.ruling.held_by is held_by
        assert differing(again(story(decision), bounded)) == set()


def test_a_tenant_s_own_template_is_filled_again_while_it_is_the_same() -> None:
    texts = {
        Locale.EN: {strategy: {"default": "There is more in {{product}}, see."} for strategy in Strategy}
    }
    own = Tenants({"acme": Tenant(product="Acme Cloud", templates=texts)})
    checks = rerun(story(composed(first_crossing())), BOOK, own, Here())
    assert verdicts(checks)["text of the template"] is Verdict.UNCHECKED


def test_an_account_that_forbade_it_is_found_out() -> None:
    told = story(composed(first_crossing()))
    forbids = msgspec.structs.replace(told, account=msgspec.structs.replace(ANN, consent=False))
    assert "account" in differing(again(forbids))


def test_what_the_records_do_not_have_is_not_checked_and_says_why() -> None:
    old = records.decision(
        id=decision_id("acme", "u1", Cause.DECLINE, UNTIL_MS),
        at=UNTIL_MS,
        from_tier=Tier.VERY_LOW,
        to_tier=Tier.LOW,
        activity=85.0,
        recent=17,
        prior=1,
        usual=20.0,
        held_by=HeldBy.CONSENT,
    )
    checks = again(Story(decision=old, appended=Dated(decision_ms=1)))
    unchecked = {check.what for check in checks if check.verdict is Verdict.UNCHECKED}
    assert unchecked == {"recent and prior", "usual", "rules"}
    assert all(check.why for check in checks if check.what in unchecked)


def test_a_draft_is_compared_with_the_one_that_was_written() -> None:
    crossing = first_crossing()
    decision = composed(crossing, SCRIPT)
    script = decision.script
    assert script is not None and script.rung is Rung.LIVE
    drafted = msgspec.structs.replace(
        decision,
        script=msgspec.structs.replace(script, rung=Rung.DRAFT),
        fallbacks={Rung.LIVE: "not tried: what was written ahead was at hand"},
        timing=msgspec.structs.replace(decision.timing, steps={"evaluate": 0.3}),
    )
    assert drafted.reason is not None
    draft = Draft(
        id=crossing.id,
        tenant="acme",
        user_id="u1",
        at=crossing.at,
        asked_at=1,
        reason=drafted.reason,
        text=script.text,
        locale=script.locale,
        model=script.model,
        model_version=script.model_version,
        written_ms=1.0,
    )
    assert differing(again(story(drafted, draft=draft))) == set()
    other = msgspec.structs.replace(draft, text="Hi Ben.")
    assert differing(again(story(drafted, draft=other))) == {
        "rung",
        "text of the draft",
    }
    assert verdicts(again(story(drafted)))["rung"] is Verdict.UNCHECKED


def test_the_events_are_those_of_the_thirty_days_and_the_telling_ones_are_named() -> None:
    decision = composed(first_crossing())
    common = {"tenant": "acme", "user_id": "u1"}
    more = [
        Support(event_id="s1", ts=decision.at - 1, text="Where is it?", **common),
        Usage(event_id="x1", ts=decision.at - 31 * DAY_MS, feature="old", outcome="error", **common),
        Usage(event_id="x2", ts=decision.at, feature="after", outcome="error", **common),
    ]
    shown = seen([*events(), *more, *more], decision, "redis")
    assert (shown.recent, shown.prior) == (decision.recent, decision.prior)
    assert [event.event_id for event in shown.telling] == ["s1"] and shown.kinds["support"] == 1


def test_the_rules_are_named_in_the_order_of_asking_up_to_the_one_that_said_no() -> None:
    crossing = first_crossing()
    assert crossing.ruling is not None
    said = dict(answers(crossing.ruling))
    assert said[HeldBy.QUIET_HOURS] == "no, which the tier may pass" and list(said) == list(ORDER)
    held = msgspec.structs.replace(crossing.ruling, held_by=HeldBy.SUPPRESSION)
    assert answers(held)[-1] == (HeldBy.SUPPRESSION, "no")
    assert set(HeldBy) - set(ORDER) == {HeldBy.GUARD, HeldBy.OFFER_BUDGET}, (
        "who else holds is no rule at the gate"
    )


def test_the_account_is_the_newest_of_before_the_decision() -> None:
    decision = composed(first_crossing())
    later = msgspec.structs.replace(ANN, event_id="a2", ts=decision.at)
    assert account_at([later, ANN], decision) == ANN
    assert account_at([later], decision) is None


def test_ids_of_decisions_that_were_put_off_belong_to_their_crossing() -> None:
    assert [base_of(name) for name in ("x", "x/again", "x/again/again")] == ["x"] * 3
