"""What a model wrote is written again from the record, word for word, or is said not to be checked."""

from typing import Any

import msgspec

from inference.client import Generation, digest, sampling
from inference.nano import Nano, Sampling
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.decision import Script
from schemas.errors import UnavailableError
from schemas.vocabulary import Rung
from streams.commands.explain import written
from streams.settings import Settings
from streams.story import Verdict
from tests.streams.agents.fakes import Model
from tests.streams.test_story import SCRIPT, again, composed, differing, first_crossing, story, verdicts


def test_a_model_writes_again_what_it_was_asked_with_the_recorded_seed() -> None:
    decision = composed(first_crossing(), SCRIPT)
    script = decision.script
    assert script is not None and script.told is not None and script.told.seed is not None
    asked = []

    def writer(script: Script, prompt: str) -> str:
        asked.append(prompt)
        return SCRIPT

    assert verdicts(again(story(decision), writer=writer))["text of the model"] is Verdict.SAME
    assert digest(asked[0]) == script.told.prompt
    other = again(story(decision), writer=lambda *_: "Hi {{name}}, come back.")
    assert differing(other) == {"text of the model"}

    def is_away(script: Script, prompt: str) -> str:
        raise UnavailableError("not here")

    assert verdicts(again(story(decision), writer=is_away))["text of the model"] is Verdict.UNCHECKED
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
        checks = again(story(decision), writer=lambda *asked: written(Settings(), *asked))
        assert verdicts(checks)["text of the model"] is Verdict.SAME
        texts.add(decision.script.text)
    assert len(texts) > 1
