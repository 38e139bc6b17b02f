"""Assesses users where something happens: a message to support, a burst of errors, an account change.

Each assessment is published, high or low: whether it is a crossing is for the user's state to say. The
sequence comes from Redis, and the events themselves are added, since Redis is written a moment later. Where
Redis does not answer several times in turn nobody is assessed: the event alone is no life to judge by. An
event that waited longer than `STALE_MS` is passed over: its occasion is gone, and a first start does not
judge last month's.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from operators.signals import words
from operators.window import WINDOW_PANES, pane_of, phase_ms
from schemas.codec import accept
from schemas.errors import RejectedEvent, UnavailableError
from schemas.events import Account, Event, Login, Support, Usage
from schemas.risk import Assessment, Burst, Effect, Risk, Sentiment
from schemas.topics import BURSTS
from schemas.vocabulary import Locale, Trigger
from streams.agents.agent import Received
from streams.agents.author import Users, now_ms
from streams.store import User
from streams.tenants import Tenants

REASONS = 5
"""How many reasons an assessment names."""
STALE_MS = 3_600_000
_NO_NEWS = ("event_id", "ts", "replay", "tenure_days")
TRIES, PAUSE_S = 5, 0.05
"""How often Redis is asked, and the pause between: an assessment that comes late is worth more than none."""

logger = logging.getLogger(__name__)
_bursts = msgspec.json.Decoder(Burst)


class Score(NamedTuple):
    """What a scorer makes of a user: all it went by, and who says so.

    `effects` gives each signal's effect in log-odds; it takes a while, and is asked only where it is told.
    """

    probability: float
    signals: dict[str, float | None]
    effects: Callable[[], dict[str, float]]
    model: str
    model_version: str
    sentiment: Sentiment | None


class Scorer(Protocol):
    """Estimates how likely a user is to leave."""

    def score(self, key: str, events: Sequence[Event], account: Account | None, as_of_ms: int) -> Score:
        """The estimate of user `key` from the events before `as_of_ms` (epoch ms)."""
        ...


class Assessor:
    """Assesses users; may work on several at once."""

    def __init__(
        self, users: Users, scorer: Scorer, tenants: Tenants, clock: Callable[[], float] = now_ms
    ) -> None:
        self._users = users
        self._tenants = tenants
        self._scorer = scorer
        self._clock = clock
        self.missed = 0
        """Events at which nobody was assessed, since Redis did not answer."""

    async def warm_up(self) -> None:
        """Have Redis's connection made, so that the first user does not wait for it."""
        await self._user("nobody/nobody", 0)

    async def assess(self, received: Received) -> Risk | None:
        """The assessment at what was received; None where it is no occasion for one."""
        occasion = self._occasion(received)
        if occasion is None:
            return None
        user = await self._user(occasion.key, occasion.ts)
        if user is None:
            return None
        if isinstance(occasion, Account) and not _is_change(occasion, user):
            return None
        events = _with(user.events, occasion)
        hours = _active_hours(occasion.key, events, occasion.ts) if user.events else 0
        if not hours:
            return None  # nothing is known of the user
        account = user.account
        if isinstance(occasion, Account) and (account is None or account.ts <= occasion.ts):
            account = occasion
        score = self._scorer.score(occasion.key, events, account, occasion.ts + 1)
        may_cross = score.probability > self._tenants.of(occasion.tenant).risk_threshold
        effects = score.effects() if may_cross else {}
        raising = [name for name, effect in effects.items() if effect > 0]
        strongest = sorted(raising, key=lambda name: -effects[name])[:REASONS]
        return Risk(
            event_id=occasion.event_id,
            tenant=occasion.tenant,
            user_id=occasion.user_id,
            at=occasion.ts,
            active_hours=hours,
            assessment=Assessment(
                trigger=_trigger(occasion),
                probability=score.probability,
                reasons=tuple(
                    Effect(signal=name, value=score.signals[name], effect=effects[name]) for name in strongest
                ),
                words={locale: words.reasons(effects, score.signals, locale) for locale in Locale},
                model=score.model,
                model_version=score.model_version,
                sentiment=score.sentiment,
                assessed_ms=self._clock(),
            ),
            signals=score.signals,
            detected_ms=float(received.append_ms),
        )

    def _occasion(self, received: Received) -> Support | Account | Burst | None:
        if received.append_ms < self._clock() - STALE_MS:
            return None
        if received.topic == BURSTS.name:
            return _bursts.decode(received.value or b"")
        try:
            event = accept(received.key, received.value, received.append_ms)
        except RejectedEvent:
            return None  # the main job puts it into the dead-letter topic
        if not isinstance(event, Support | Account):
            return None
        return None if event.replay is not None and not event.replay.compose else event

    async def _user(self, key: str, as_of_ms: int) -> User | None:
        for _ in range(TRIES):
            try:
                return await self._users.user(key, as_of_ms)
            except UnavailableError as error:
                problem = error
            await asyncio.sleep(PAUSE_S)
        self.missed += 1
        logger.warning("nobody was assessed at %d events so far: %s", self.missed, problem)
        return None


def _with(events: Sequence[Event], occasion: Support | Account | Burst) -> tuple[Event, ...]:
    known = {event.event_id for event in events}
    news = occasion.failures if isinstance(occasion, Burst) else (occasion,)
    more = [msgspec.structs.replace(one, replay=None) for one in news if one.event_id not in known]
    return tuple(sorted((*events, *more), key=lambda event: event.ts))


def _is_change(account: Account, user: User) -> bool:
    """Whether the record says other things than the one before it; the account's age changes by itself."""
    known = [event for event in (*user.events, user.account) if isinstance(event, Account)]
    before = [one for one in known if one.ts <= account.ts and one.event_id != account.event_id]
    if not before:
        return True
    last = max(before, key=lambda one: one.ts)
    return any(
        getattr(account, name) != getattr(last, name)
        for name in Account.__struct_fields__
        if name not in _NO_NEWS
    )


def _trigger(occasion: Support | Account | Burst) -> Trigger:
    match occasion:
        case Support():
            return Trigger.SUPPORT
        case Account():
            return Trigger.ACCOUNT
        case Burst():
            return Trigger.ERRORS


def _active_hours(key: str, events: Sequence[Event], at: int) -> int:
    """The user's active panes up to that of `at`, as the window counts them."""
    phase = phase_ms(key)
    last = pane_of(at, phase)
    panes = {pane_of(event.ts, phase) for event in events if isinstance(event, Login | Usage)}
    return sum(1 for pane in panes if last - WINDOW_PANES < pane <= last)
