"""Both models as one scorer: which version assesses whom, what is read, and what is remembered of it."""

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import registry, risk
from inference.registry import Canary, Serving
from inference.sentiment import Sentiment as SentimentModel
from operators.signals import NAMES
from schemas.errors import UnavailableError
from schemas.events import Account, Login, Support
from streams.agents import scorer
from streams.agents.scorer import MESSAGES, Models

T = 1_700_000_000_000
WHO = {"tenant": "acme", "user_id": "u1"}
KEY = "acme/u1"
LOGINS = [Login(event_id=f"e{n}", ts=T - n * 3_600_000, **WHO) for n in range(5)]


class Churn:
    """Says 0.25 of everybody, for the first signal alone."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        assert names == NAMES
        if (folder / "broken").exists():
            raise UnavailableError(f"no churn model in {folder}")
        self.version = folder.name

    def probability(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        assert rows.shape == (1, len(NAMES))
        return np.array([0.25])

    def contributions(self, row: NDArray[np.float32]) -> tuple[risk.Contribution, ...]:
        return tuple(risk.Contribution(name, float(row[i]), float(i == 0)) for i, name in enumerate(NAMES))


class Mood:
    """Finds a message that says "sad" negative, and notes what it reads."""

    version = "4"
    read: list[str]

    def __init__(self, folder: Path) -> None:
        self.read = Mood.read = []

    def of(self, texts: list[str]) -> NDArray[np.float64]:
        self.read += texts
        return np.array([[0.8, 0.1, 0.1] if "sad" in text else [0.1, 0.1, 0.8] for text in texts])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for version in ("risk/1", "risk/2", "sentiment/4"):
        (tmp_path / version).mkdir(parents=True)
    monkeypatch.setattr(risk, "load", Churn)
    monkeypatch.setattr(SentimentModel, "load", Mood)
    return tmp_path


def message(number: int, text: str = "sad") -> Support:
    return Support(event_id=f"s{number}", ts=T - 1000 + number, text=text, **WHO)


def test_an_estimate_names_all_signals_with_their_effects(repository: Path) -> None:
    score = Models(repository).score(KEY, LOGINS, None, T + 1)
    assert (score.probability, score.model, score.model_version) == (0.25, "risk", "1")
    assert tuple(score.signals) == tuple(score.effects()) == NAMES
    assert score.effects()[NAMES[0]] == 1.0 and sum(score.effects().values()) == 1.0
    assert score.sentiment is None
    account = Account(event_id="a", ts=T, seats=3, **WHO)
    assert Models(repository).score(KEY, LOGINS, account, T + 1).signals["seats"] == 3.0


def test_a_signal_that_is_no_number_is_null(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = np.full(len(NAMES), np.nan, dtype=np.float32)
    row[1] = 2.5
    monkeypatch.setattr(scorer, "signals", lambda sequence, as_of_ms: row)
    found = Models(repository).score(KEY, LOGINS, None, T + 1).signals
    assert found == dict.fromkeys(NAMES) | {NAMES[1]: 2.5}


def test_the_last_message_s_sentiment_is_told_and_all_of_them_are_signals(repository: Path) -> None:
    events = [*LOGINS, message(2, "thank you"), message(1), message(3)]
    score = Models(repository).score(KEY, events, None, T + 1)
    assert score.sentiment is not None
    assert (score.sentiment.negative, score.sentiment.model_version) == (0.8, "4")
    assert score.signals["lowest_sentiment"] == pytest.approx(-0.7)
    assert score.signals["mean_sentiment"] == pytest.approx(-0.7 / 3)


def test_each_message_is_read_once_and_of_many_the_last_ones(repository: Path) -> None:
    models = Models(repository)
    events = [message(number, f"sad {number}") for number in range(MESSAGES + 2)]
    models.score(KEY, events, None, T + 1)
    models.score(KEY, events, None, T + 2)
    warm_up, *read = Mood.read
    assert warm_up == "Hello" and read == [f"sad {number}" for number in range(2, MESSAGES + 2)]


def test_a_version_that_is_promoted_takes_over_and_a_canary_has_its_users(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "LOOK_S", 0.0)
    models = Models(repository)
    registry.write(repository, "risk", Serving(promoted="1", canary=Canary("2", 0.5)))
    users = [f"acme/u{number}" for number in range(40)]
    found = {models.score(user, LOGINS, None, T + 1).model_version for user in users}
    assert found == {"1", "2"}
    registry.write(repository, "risk", Serving(promoted="2"))
    assert {models.score(user, LOGINS, None, T + 1).model_version for user in users} == {"2"}


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(
    repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "LOOK_S", 0.0)
    models = Models(repository)
    (repository / "risk" / "2" / "broken").touch()
    registry.write(repository, "risk", Serving(promoted="2"))
    with caplog.at_level(logging.ERROR):
        assert models.score(KEY, LOGINS, None, T + 1).model_version == "1"
        assert models.score(KEY, LOGINS, None, T + 1).model_version == "1"
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_without_the_promoted_version_there_is_no_scorer(repository: Path) -> None:
    (repository / "risk" / "1" / "broken").touch()
    with pytest.raises(UnavailableError, match="no churn model"):
        Models(repository)
