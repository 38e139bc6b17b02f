"""What the models said is had from them again, word for word, or is said not to be checked."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.client import Generation, digest, sampling
from inference.nano import Nano, Sampling
from inference.risk import Contribution
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from operators.policy import rule
from operators.signals import NAMES
from schemas.decision import Decision, Script, Standing, decision_id
from schemas.errors import DeadlineExceeded, UnavailableError
from schemas.events import Support
from schemas.risk import Assessment, Effect, Risk, Sentiment
from schemas.vocabulary import Cause, Locale, Rung, Tier, Trigger
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.checks import Verdict
from streams.commands.explain import Repositories
from streams.story import Story
from tests import records
from tests.streams.agents.fakes import NOW, Clock, Model, Store
from tests.streams.test_story import (
    ANN,
    RULES,
    SCRIPT,
    TENANTS,
    UNTIL_MS,
    Here,
    again,
    composed,
    differing,
    first_crossing,
    story,
    verdicts,
)


def test_a_model_writes_again_what_it_was_asked_with_the_recorded_seed() -> None:
    decision = composed(first_crossing(), SCRIPT)
    script = decision.script
    assert script is not None and script.told is not None and script.told.seed is not None
    asked = []

    class Writer(Here):
        def __init__(self, answer: str) -> None:
            super().__init__()
            self._answer = answer

        def text(self, script: Script, prompt: str) -> str:
            asked.append(prompt)
            if not self._answer:
                raise UnavailableError("not here")
            return self._answer

    assert verdicts(again(story(decision), models=Writer(SCRIPT)))["text of the model"] is Verdict.SAME
    assert digest(asked[0]) == script.told.prompt
    other = again(story(decision), models=Writer("Hi {{name}}, come back."))
    assert differing(other) == {"text of the model"}
    assert verdicts(again(story(decision), models=Writer("")))["text of the model"] is Verdict.UNCHECKED
    for change in ({"seed": None}, {"brief": "Be brief."}):
        changed = msgspec.structs.replace(script, told=msgspec.structs.replace(script.told, **change))
        checks = again(story(msgspec.structs.replace(decision, script=changed)))
        assert verdicts(checks)["text of the model"] is Verdict.UNCHECKED


def test_the_small_model_writes_word_for_word_the_same_in_another_process() -> None:
    """In this one with an instance of its own, which is what `holdfast explain` does."""
    served = Nano(MODEL_REPOSITORY / MODEL / "1")

    class Serving(Model):
        async def generate(self, prompt: str, *args: Any, seed: int = 0) -> Generation:
            made = await super().generate(prompt, *args, seed=seed)
            pieces = served.generate(prompt, Sampling.of(sampling(seed)), lambda: False)
            return msgspec.structs.replace(made, text="".join(pieces).strip(), model_version="1")

    crossing, texts = first_crossing(), set()
    for number in range(5):
        one = msgspec.structs.replace(crossing, id=f"{crossing.id}{number}")
        decision = composed(one, Serving)
        assert decision.script is not None and decision.script.rung is Rung.LIVE
        checks = again(story(decision), models=Repositories(MODEL_REPOSITORY))
        assert verdicts(checks)["text of the model"] is Verdict.SAME
        texts.add(decision.script.text)
    assert len(texts) > 1


def test_a_segment_s_script_is_written_again_word_for_word_for_each_user_who_got_it() -> None:
    """It was written for the first of them, with that one's seed, which the others' records have as well."""
    served, clock = Nano(MODEL_REPOSITORY / MODEL / "1"), Clock()

    class Serving(Model):
        async def generate(self, prompt: str, *args: Any, seed: int = 0) -> Generation:
            made = await super().generate(prompt, *args, seed=seed)
            pieces = served.generate(prompt, Sampling.of(sampling(seed)), lambda: False)
            return msgspec.structs.replace(made, text="".join(pieces).strip(), model_version="1")

    writer = Serving(clock)
    writer.version = "1"
    segments = Segments(writer, Prompter(), clock)
    composer = Composer(
        author=Author(Store(clock), TENANTS),
        model=Model(clock, DeadlineExceeded("late")),
        segments=segments,
        prompter=Prompter(),
        budget_ms=50,
        publish_margin_ms=10,
        clock=clock,
    )
    crossing = first_crossing()

    async def sent_to(user_id: str) -> Decision:
        clock.now_ms = crossing.detected_ms
        return await composer.compose(msgspec.structs.replace(crossing, user_id=user_id, id=f"of-{user_id}"))

    async def lived() -> list[Decision]:
        writing = asyncio.create_task(segments.write_for_ever())
        await sent_to("u0")
        await asyncio.sleep(0.1)
        decisions = [await sent_to(user_id) for user_id in ("u1", "u2")]
        writing.cancel()
        return decisions

    for decision in asyncio.run(lived()):
        assert decision.script is not None and decision.script.rung is Rung.SEGMENT
        told = msgspec.structs.replace(
            story(decision), account=msgspec.structs.replace(ANN, user_id=decision.user_id)
        )
        checks = again(told, models=Repositories(MODEL_REPOSITORY))
        assert verdicts(checks)["text of the model"] is Verdict.SAME
        changed = msgspec.structs.replace(decision.script, text=decision.script.text + "!")
        told = msgspec.structs.replace(told, decision=msgspec.structs.replace(decision, script=changed))
        assert "text of the model" in differing(again(told, models=Repositories(MODEL_REPOSITORY)))


ANGRY = Sentiment(negative=0.75, neutral=0.25, positive=0.0, model_version="1")


class Mood:
    """Reads the same out of every message."""

    def __init__(self, *shares: float) -> None:
        self.shares, self.read = shares, list[str]()

    def of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        self.read += texts
        return np.array([self.shares])


class RiskModel:
    """Says 0.7, for the first two signals."""

    def probability(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        assert rows.shape == (1, len(NAMES))
        return np.array([0.7])

    def contributions(self, row: NDArray[np.float32]) -> tuple[Contribution, ...]:
        return (
            Contribution(NAMES[0], 1.0, 0.5),
            Contribution(NAMES[1], 1.0, 0.2),
            Contribution(NAMES[2], 1.0, -0.1),
        )


def at_risk(probability: float) -> Story:
    assessment = Assessment(
        trigger=Trigger.SUPPORT,
        probability=probability,
        reasons=(Effect(signal=NAMES[0], value=1.0, effect=0.5),),
        words={Locale.EN: ()},
        model="risk",
        model_version="1",
        sentiment=ANGRY,
        assessed_ms=NOW,
    )
    record = Risk(
        event_id="s1",
        tenant="acme",
        user_id="u1",
        at=UNTIL_MS,
        active_hours=9,
        assessment=assessment,
        signals=dict.fromkeys(NAMES),
        detected_ms=NOW,
    )
    crossing = records.crossing(
        id=decision_id("acme", "u1", Cause.RISK, "s1"),
        cause=Cause.RISK,
        at=UNTIL_MS,
        from_tier=Tier.LOW,
        to_tier=Tier.LOW,
        activity=85.0,
        recent=17,
        prior=66,
        usual=20.0,
        account=ANN,
        detected_ms=NOW,
        risk=assessment,
    )
    ruling = rule(RULES, crossing, Standing(at=UNTIL_MS, tier=Tier.LOW, plan="pro"))
    told = story(composed(msgspec.structs.replace(crossing, ruling=ruling)), risk=record)
    assert told.seen is not None
    telling = tuple(
        Support(event_id=f"s{ago}", tenant="acme", user_id="u1", ts=UNTIL_MS - ago, text=f"{ago} ms ago")
        for ago in (7, 0)
    )
    return msgspec.structs.replace(told, seen=msgspec.structs.replace(told.seen, telling=telling))


@pytest.mark.parametrize(("probability", "found"), [(0.7, set()), (0.7000001, set()), (0.6, {"probability"})])
def test_a_risk_is_estimated_again_from_its_signals(probability: float, found: set[str]) -> None:
    assert differing(again(at_risk(probability), models=Here(RiskModel()))) == found


def test_the_last_message_is_read_again() -> None:
    mood = Mood(0.75, 0.25, 0.0)
    assert verdicts(again(at_risk(0.7), models=Here(RiskModel(), mood)))["sentiment"] is Verdict.SAME
    assert mood.read == ["0 ms ago"]
    calm = Here(RiskModel(), Mood(0.0, 1.0, 0.0))
    assert differing(again(at_risk(0.7), models=calm)) == {"sentiment"}
    gone = msgspec.structs.replace(at_risk(0.7), seen=None)
    assert verdicts(again(gone, models=calm))["sentiment"] is Verdict.UNCHECKED


def test_models_that_are_not_here_are_said_to_be_missing() -> None:
    found = verdicts(again(at_risk(0.7)))
    assert found["probability"] is found["sentiment"] is Verdict.UNCHECKED


def test_what_serves_here_is_found_by_its_version_and_says_the_same(tmp_path: Path) -> None:
    """The repository that serves has none of these, so it is ours."""
    models = Repositories(tmp_path)
    moods = models.sentiment("1").of(["The export fails again and again."])[0]
    assert moods[0] > moods[2]
    assert models.risk("1").probability(np.full((1, len(NAMES)), np.nan, np.float32)).shape == (1,)
    with pytest.raises(UnavailableError, match="version 77 of the model risk is no longer in"):
        models.risk("77")
