"""The models of churn risk and of sentiment, as the assessor asks them: the versions that serve.

A user's messages to customer service are read first, each once; what they sound like is one of the signals.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from inference import risk
from inference.registry import Watch
from inference.sentiment import Sentiment as SentimentModel
from inference.tritonserver import MODEL_REPOSITORY
from operators.signals import NAMES, sequence_of, signals
from schemas.errors import UnavailableError
from schemas.events import Account, Event, Support
from schemas.risk import Sentiment
from streams.agents.assessor import Score

MESSAGES = 10
"""Of how many of a user's messages the sentiment counts, the last ones."""
_REMEMBERED = 10_000

logger = logging.getLogger(__name__)
Model = TypeVar("Model")


class Served(Generic[Model]):
    """The versions of one model that serve, each loaded when its first user comes.

    A repository that has no such model of its own gets ours. A version that cannot be loaded later on is
    logged, and the one before goes on.

    Raises:
        InputError, UnavailableError: there is no such model, or the promoted version cannot be loaded.
    """

    def __init__(self, repository: Path, name: str, load: Callable[[Path], Model]) -> None:
        if not (repository / name).is_dir():
            repository = MODEL_REPOSITORY
        self._folder, self._load = repository / name, load
        self._watch = Watch(repository, name)
        version = self._watch.serving().promoted
        self._last = load(self._folder / version)
        self._loaded: dict[str, Model] = {version: self._last}

    def of(self, user: str) -> Model:
        """The version for `user` (`tenant/user_id`)."""
        version = self._watch.serving().version_for(user)
        if version not in self._loaded:
            try:
                self._loaded[version] = self._load(self._folder / version)
            except UnavailableError as error:
                logger.error("the version before goes on: %s", error)
                self._loaded[version] = self._last
        self._last = self._loaded[version]
        return self._last


class Models:
    """Both models of `repository` as one scorer.

    Raises:
        InputError, UnavailableError: one of them is not there.
    """

    def __init__(self, repository: Path) -> None:
        self._risk = Served(repository, risk.MODEL, lambda folder: risk.load(folder, NAMES))
        self._sentiment = Served(repository, "sentiment", SentimentModel.load)
        self._read: dict[tuple[str, str, str], Sentiment] = {}
        # The first time takes a second, and no user shall wait for it.
        nobody = Support(event_id="nobody", tenant="nobody", user_id="nobody", ts=0, text="Hello")
        self.score("", (nobody,), None, 1).effects()

    def score(self, key: str, events: Sequence[Event], account: Account | None, as_of_ms: int) -> Score:
        """The estimate of user `key` from the events before `as_of_ms` (epoch ms)."""
        messages = sorted((e for e in events if isinstance(e, Support)), key=lambda e: e.ts)[-MESSAGES:]
        read = {message.event_id: self._sentiment_of(message) for message in messages}
        moods = {id: found.positive - found.negative for id, found in read.items()}
        row = signals(sequence_of(events, account, moods), as_of_ms)
        model = self._risk.of(key)
        return Score(
            probability=float(model.probability(row[np.newaxis])[0]),
            signals={name: _known(value) for name, value in zip(NAMES, row, strict=True)},
            effects=lambda: {effect.name: effect.effect for effect in model.contributions(row)},
            model=risk.MODEL,
            model_version=model.version,
            sentiment=read[messages[-1].event_id] if messages else None,
        )

    def _sentiment_of(self, message: Support) -> Sentiment:
        model = self._sentiment.of(message.key)
        name = (model.version, message.key, message.event_id)
        found = self._read.get(name)
        if found is None:
            negative, neutral, positive = (float(share) for share in model.of([message.text])[0])
            found = Sentiment(
                negative=negative, neutral=neutral, positive=positive, model_version=model.version
            )
            self._read[name] = found
            if len(self._read) > _REMEMBERED:
                del self._read[next(iter(self._read))]
        return found


def _known(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)
