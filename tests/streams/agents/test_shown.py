"""From examples to the record: who writes is shown them, records say so, a copy is judged like any script."""

import asyncio

import msgspec
import pytest

from inference.client import digest
from inference.prompt import prompt
from inference.room import Room
from operators.lifecycle import Settled
from operators.render import render
from schemas.decision import Decision, DraftRequest, Script, Shown, Told
from schemas.errors import UnavailableError
from schemas.examples import Examples
from schemas.policy import RuleBook
from schemas.tenant import Tenant
from schemas.vocabulary import Reason, Rung
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.drafter import Drafter
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.checks import Verdict
from streams.flow import settle as published
from streams.story import Dated, Story, profile_of, rerun
from streams.tenants import Tenants
from tests.streams.agents.fakes import GOOD, NOW, Clock, Model, Store
from tests.streams.agents.test_composer import ANN, crossing
from tests.streams.test_examples import ONE
from tests.streams.test_story import Here

SHOWN = "Hi {{name}}, {{product}} is still here for you. Just reply if we can help."
USAGE = msgspec.structs.replace(ONE, template=SHOWN, reason=Reason.USAGE_DROP)
TENANTS = Tenants({"acme": Tenant(product="Acme Cloud")})


class Bench:
    """Composer, drafter and segments that ask with the examples in `held`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.model = Model(self.clock)
        self.held: Examples | None = Examples(tenant="acme", version="v1", examples=(USAGE,))
        prompter = Prompter(lambda tenant: self.held, lambda version: Room(500))
        author = Author(Store(self.clock), TENANTS)
        self.segments = Segments(self.model, prompter, self.clock)
        self.drafter = Drafter(author, self.model, self.segments, prompter, clock=self.clock)
        self.composer = Composer(
            author=author,
            model=self.model,
            segments=self.segments,
            prompter=prompter,
            budget_ms=50,
            publish_margin_ms=10,
            clock=self.clock,
        )

    def compose(self, **changes: object) -> Decision:
        asked = msgspec.structs.replace(crossing(), detected_ms=self.clock.now_ms - 5, **changes)
        return asyncio.run(self.composer.compose(asked))

    def write_segments(self) -> None:
        async def write() -> None:
            writing = asyncio.create_task(self.segments.write_for_ever())
            for _ in range(4):
                await asyncio.sleep(0)
            writing.cancel()

        asyncio.run(write())


def script_of(decision: Decision) -> Script:
    assert decision.script is not None and decision.script.told is not None
    return decision.script


def told_of(decision: Decision) -> Told:
    told = script_of(decision).told
    assert told is not None
    return told


def story(decision: Decision, **known: object) -> Story:
    return Story(
        decision=decision,
        appended=Dated(decision_ms=1),
        account=ANN,
        examples=(USAGE,),
        **known,  # type: ignore[arg-type]  # the test's own
    )


class Writer(Here):
    """The model on this machine, which writes `GOOD` again."""

    def text(self, script: Script, asked: str) -> str:
        return GOOD


def verdict(told: Story) -> Verdict:
    found = {check.what: check.verdict for check in rerun(told, RuleBook(), TENANTS, Writer())}
    return found["text of the model"]


def test_a_live_script_s_record_names_the_examples_and_gives_the_prompt_again() -> None:
    bench = Bench()
    decision = bench.compose()
    script = script_of(decision)
    assert script.rung is Rung.LIVE and script.template == GOOD
    assert told_of(decision).examples == Shown(version="v1", places=(0,))
    told = story(decision)
    profile = profile_of(told)
    assert not isinstance(profile, str)
    ((asked, _),) = bench.model.asked
    assert asked == prompt(profile, [SHOWN]) and told_of(decision).prompt == digest(asked)
    assert verdict(told) is Verdict.SAME


def test_with_other_examples_than_were_shown_the_text_is_not_made_again() -> None:
    told = story(Bench().compose())
    other = msgspec.structs.replace(USAGE, template="Hi {{name}}, something else.")
    for examples in ((other,), (), None):
        assert verdict(msgspec.structs.replace(told, examples=examples)) is Verdict.UNCHECKED


def test_a_segment_s_record_names_what_its_writer_was_shown_and_new_examples_have_it_written_anew() -> None:
    bench = Bench()
    bench.model.text = UnavailableError("no Triton")
    bench.compose()
    bench.model.text = GOOD
    bench.write_segments()
    bench.model.text = UnavailableError("no Triton")
    decision = bench.compose()
    script = script_of(decision)
    assert script.rung is Rung.SEGMENT
    assert told_of(decision).examples == Shown(version="v1", places=(0,))
    assert verdict(story(decision)) is Verdict.SAME

    bench.held = Examples(tenant="acme", version="v2", examples=())
    assert script_of(bench.compose()).rung is Rung.TEMPLATE
    bench.model.text = GOOD
    bench.write_segments()
    bench.model.text = UnavailableError("no Triton")
    decision = bench.compose()
    assert script_of(decision).rung is Rung.SEGMENT and told_of(decision).examples is None
    bench.held = Examples(tenant="acme", version="v1", examples=(USAGE,))
    assert script_of(bench.compose()).rung is Rung.SEGMENT, "those of before are still there"


def test_a_people_s_template_was_shown_nothing() -> None:
    bench = Bench()
    bench.model.text = UnavailableError("no Triton")
    decision = bench.compose()
    script = script_of(decision)
    assert script.rung is Rung.TEMPLATE and "{{product}}" in script.template
    assert (told_of(decision).prompt, told_of(decision).examples) == ("", None)
    assert render(script.template, {"name": "Ann", "product": "Acme Cloud"}) == script.text


@pytest.mark.parametrize(
    ("copied", "rung"),
    [(SHOWN, Rung.LIVE), (SHOWN.replace("still here", "free for a month"), Rung.TEMPLATE)],
)
def test_a_script_copied_from_an_example_is_judged_as_any_other(copied: str, rung: Rung) -> None:
    bench = Bench()
    bench.model.text = copied
    assert script_of(bench.compose()).rung is rung


def test_a_draft_carries_what_it_was_written_from_into_the_decision() -> None:
    bench = Bench()
    ahead = msgspec.structs.replace(crossing(), at=int(NOW) + 300_000)
    draft = asyncio.run(anext(bench.drafter.draft(DraftRequest(crossing=ahead, asked_at=1))))
    record, _ = published(Settled(ahead, draft), NOW, NOW + 1)
    decision = msgspec.json.decode(record.value, type=Decision)
    script = script_of(decision)
    assert (script.rung, script.template, script.told) == (Rung.DRAFT, GOOD, draft.told)
    assert told_of(decision).examples == Shown(version="v1", places=(0,))
    assert told_of(decision).prompt == digest(bench.model.asked[0][0])
