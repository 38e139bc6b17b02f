"""The models of churn risk and of sentiment, as the assessor asks them: the versions that serve."""

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import UnavailableError
from schemas.events import Account, Event
from streams.agents.assessor import Score


class Models:
    """Both models of `repository` as one scorer.

    Raises:
        UnavailableError: one of them is not there.
    """

    def __init__(self, repository: Path) -> None:
        raise UnavailableError(f"there is no model of the churn risk in {repository}")

    def score(self, key: str, events: Sequence[Event], account: Account | None, as_of_ms: int) -> Score:
        """The estimate of user `key` from the events before `as_of_ms` (epoch ms)."""
        raise NotImplementedError
