"""A store, a model and a clock of the tests' own, for whoever writes scripts."""

from inference.client import Generation, digest
from schemas.errors import HoldfastError, UnavailableError
from schemas.events import Account, Event
from streams.store import User

NOW = 1_800_000_000_000.0
GOOD = "Hi {{name}}, we would like {{product}} to be worth your while. Just reply if we can help."


class Clock:
    """Says `now_ms`, which only the test moves."""

    def __init__(self) -> None:
        self.now_ms = NOW

    def __call__(self) -> float:
        return self.now_ms


class Store:
    """Answers with one user, after `takes_ms`, or not at all."""

    def __init__(self, clock: Clock, *events: Event, account: Account | None = None) -> None:
        self.clock, self.found = clock, User(events=events, account=account)
        self.takes_ms = 2.0
        self.down = False
        self.asked: list[tuple[str, int]] = []

    async def user(self, key: str, as_of_ms: int) -> User:
        self.asked.append((key, as_of_ms))
        self.clock.now_ms += self.takes_ms
        if self.down:
            raise UnavailableError("Redis does not answer")
        return self.found


class Model:
    """Writes `text`, or fails with it where it is an error; everybody gets `version`."""

    def __init__(self, clock: Clock, text: str | HoldfastError = GOOD) -> None:
        self.clock, self.text = clock, text
        self.takes_ms = 11.0
        self.version = "3"
        self.asked: list[tuple[str, float]] = []
        self.users: list[str] = []

    def version_for(self, user: str) -> str:
        return self.version

    async def generate(self, prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        self.asked.append((prompt, deadline_ms))
        self.users.append(user)
        self.clock.now_ms += self.takes_ms
        if isinstance(self.text, HoldfastError):
            raise self.text
        return Generation(
            text=self.text,
            model="holdfast-nano",
            model_version=self.version_for(user),
            prompt=digest(prompt),
            seed=seed,
        )
