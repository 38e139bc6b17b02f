"""What the models said, had from them again: the probability, the sentiment, the text."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
import numpy as np

from inference.client import digest
from inference.prompt import prompt
from inference.risk import Risk as RiskModel
from inference.sentiment import Sentiment as SentimentModel
from operators.render import render
from operators.signals import NAMES
from schemas.decision import Script
from schemas.errors import UnavailableError
from schemas.events import Event, Support
from schemas.examples import Example
from schemas.profile import Profile
from schemas.risk import Assessment, Risk, Sentiment
from schemas.vocabulary import Rung
from streams.checks import Check, equal, unchecked

_TOLERANCE = 1e-6
"""How far a probability may be off: another processor adds in another order."""


class Models(Protocol):
    """Versions of the models, as far as they are on this machine; UnavailableError where one is not."""

    def risk(self, version: str) -> RiskModel:
        """The churn model."""
        ...

    def sentiment(self, version: str) -> SentimentModel:
        """The model of sentiment."""
        ...

    def text(self, script: Script, asked: str) -> str:
        """The Mustache template that the script's own author writes when asked that, with the same seed."""
        ...


def assessed(
    recorded: Assessment, risk: Risk | None, events: Iterable[Event], models: Models
) -> Iterator[Check]:
    """The risk again: `risk` is its record, which has the signals, `events` are those that tell most."""
    if risk is None:
        yield unchecked("risk", "its record on risks, which has the signals, is no longer there")
        return
    yield equal("risk on both topics", recorded, risk.assessment)
    yield from _probability(recorded, risk, models)
    if recorded.sentiment is not None:
        yield _sentiment(recorded.sentiment, risk, events, models)


def _probability(recorded: Assessment, risk: Risk, models: Models) -> Iterator[Check]:
    try:
        model = models.risk(recorded.model_version)
    except UnavailableError as error:
        yield unchecked("probability", str(error))
        return
    missing = [name for name in NAMES if name not in risk.signals]
    if missing:
        yield unchecked("probability", f"the record lacks signals of this release: {', '.join(missing[:3])}")
        return
    values = (risk.signals[name] for name in NAMES)
    row = np.array([np.nan if value is None else value for value in values], dtype=np.float32)
    yield _close("probability", recorded.probability, float(model.probability(row[np.newaxis])[0]))
    raising = [effect.name for effect in model.contributions(row) if effect.effect > 0]
    names = [effect.signal for effect in recorded.reasons]
    yield equal("reasons", names, raising[: len(names)])


def _sentiment(recorded: Sentiment, risk: Risk, events: Iterable[Event], models: Models) -> Check:
    """That of the user's last message up to the occasion; another may have come late, or be gone."""
    messages = [one for one in events if isinstance(one, Support) and one.ts <= risk.at]
    if not messages:
        return unchecked("sentiment", "the message is not among the events that were read")
    try:
        model = models.sentiment(recorded.model_version)
    except UnavailableError as error:
        return unchecked("sentiment", str(error))
    last = max(messages, key=lambda one: one.ts)
    negative, _, positive = (float(share) for share in model.of([last.text])[0])
    return _close("sentiment", recorded.positive - recorded.negative, positive - negative)


def _close(what: str, recorded: float, again: float) -> Check:
    return equal(what, recorded, recorded if abs(again - recorded) <= _TOLERANCE else again)


def rewritten(
    script: Script, profile: Profile, examples: tuple[Example, ...] | None, models: Models
) -> Check:
    """What the model writes when it is asked as it was. A segment's script is for anyone of the segment.

    `examples` are those that it was shown; None where they are no longer there.
    """
    told, what = script.told, "text of the model"
    if told is None or told.seed is None:
        return unchecked(what, "the record has no seed: it is of a version before it")
    if examples is None:
        return unchecked(what, "the topic examples no longer has the version that the model was shown")
    if script.rung is Rung.SEGMENT:
        profile = msgspec.structs.replace(profile, sentences=())
    asked = prompt(profile, [one.template for one in examples])
    if digest(asked) != told.prompt:
        return unchecked(what, "the model is asked in other words now, or the account is of another plan")
    try:
        return equal(what, script.text, render(models.text(script, asked), profile.facts))
    except UnavailableError as error:
        return unchecked(what, str(error))
