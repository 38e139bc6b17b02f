"""One crossing to one decision: the user's features, a script within the time left, else the next rung.

The deadline is the crossing's detection + the budget - the margin kept for publishing. It is absolute, so
a crossing that waited (after an outage, say) is still composed, from the template, and its timing tells.
In a replay with composing, detection is likewise the moment at which the stream reached the crossing.
"""

import time
from collections.abc import Callable
from typing import Protocol

from inference.client import Generation
from inference.prompt import prompt
from operators import encode, features, templates
from operators.ladder import Exhausted, Taken, settle
from schemas.decision import Crossing, Decision, Script, Timing
from schemas.errors import DeadlineExceeded, HoldfastError, UnavailableError
from schemas.profile import Profile
from schemas.vocabulary import Cause, Outcome, Rung, Tier
from streams.store import User
from streams.tenants import Tenants


class Model(Protocol):
    """Writes scripts, as `inference.client.ScriptModel` does."""

    async def generate(self, prompt: str, deadline_ms: float) -> Generation:
        """A Mustache template before `deadline_ms` (epoch ms), or a GenerationError or UnavailableError."""
        ...


class Users(Protocol):
    """Knows users' events and accounts, or raises UnavailableError."""

    async def user(self, key: str, as_of_ms: int) -> User:
        """The user's 30 days up to `as_of_ms`."""
        ...


def now_ms() -> float:
    """The time, epoch ms."""
    return time.time() * 1000


class Composer:
    """Composes decisions; may work on several at once."""

    def __init__(
        self,
        *,
        users: Users,
        model: Model,
        tenants: Tenants,
        budget_ms: float,
        publish_margin_ms: float,
        clock: Callable[[], float] = now_ms,
    ) -> None:
        self._users = users
        self._model = model
        self._tenants = tenants
        self._time_ms = budget_ms - publish_margin_ms
        self._clock = clock

    async def compose(self, crossing: Crossing) -> Decision:
        """The decision on `crossing`. Neither Redis nor the model is needed for it."""
        steps = _Steps(self._clock, crossing.detected_ms)
        steps.end("queue")
        # A risk crossing's own event counts; the boundary of a decline or rise is outside.
        as_of_ms = crossing.at + (crossing.cause is Cause.RISK)
        user = await self._user(crossing, as_of_ms)
        steps.end("read")
        profile = self._profile(crossing, user, as_of_ms)
        steps.end("features")
        live = await self._live(profile, crossing.detected_ms + self._time_ms)
        made_ms = steps.end("model")
        settled = settle(profile, [(Rung.LIVE, live.text if isinstance(live, Generation) else live)])
        published_ms = steps.end("settle")
        return Decision(
            id=crossing.id,
            tenant=crossing.tenant,
            user_id=crossing.user_id,
            cause=crossing.cause,
            at=crossing.at,
            from_tier=crossing.from_tier,
            to_tier=crossing.to_tier,
            activity=crossing.activity,
            outcome=Outcome.HELD if isinstance(settled, Exhausted) else Outcome.SENT,
            held_by=settled.held_by if isinstance(settled, Exhausted) else None,
            strategy=profile.strategy,
            reason=profile.reason,
            script=None
            if isinstance(settled, Exhausted)
            else _script(settled, profile, live, published_ms - made_ms),
            fallbacks=settled.fallbacks,
            timing=Timing(detected_ms=crossing.detected_ms, steps=steps.taken_ms, published_ms=published_ms),
        )

    async def warm_up(self, within_ms: float = 10_000) -> None:
        """Have one script written for nobody, so that the first user does not wait for it.

        Raises:
            GenerationError, UnavailableError: as the model does.
        """
        nobody = features.compute((), account=None, as_of_ms=0, recent=0, prior=1, usual=1.0)
        tenant = self._tenants.of("nobody")
        profile = encode.profile(nobody, tenant_id="nobody", tenant=tenant, tier=Tier.CRITICAL, account=None)
        await self._model.generate(prompt(profile), self._clock() + within_ms)

    async def _user(self, crossing: Crossing, as_of_ms: int) -> User:
        try:
            return await self._users.user(f"{crossing.tenant}/{crossing.user_id}", as_of_ms - 1)
        except UnavailableError:
            return User(events=(), account=None)  # the crossing's own counts will do

    def _profile(self, crossing: Crossing, user: User, as_of_ms: int) -> Profile:
        account = crossing.account or user.account
        found = features.compute(
            user.events,
            account=account,
            as_of_ms=as_of_ms,
            recent=crossing.recent,
            prior=crossing.prior,
            usual=crossing.usual,
        )
        return encode.profile(
            found,
            tenant_id=crossing.tenant,
            tenant=self._tenants.of(crossing.tenant),
            tier=crossing.to_tier,
            account=account,
        )

    async def _live(self, profile: Profile, deadline_ms: float) -> Generation | HoldfastError:
        late_ms = self._clock() - deadline_ms
        if late_ms >= 0:
            return DeadlineExceeded(f"not asked: the deadline passed {late_ms:.0f} ms before")
        try:
            return await self._model.generate(prompt(profile), deadline_ms)
        except HoldfastError as error:
            return error


class _Steps:
    """A stopwatch: how long each step took, in ms."""

    def __init__(self, clock: Callable[[], float], begun_ms: float) -> None:
        self._clock = clock
        self._last_ms = begun_ms
        self.taken_ms: dict[str, float] = {}

    def end(self, step: str) -> float:
        """The step ends now; the time, epoch ms."""
        now = self._clock()
        self.taken_ms[step] = round(now - self._last_ms, 3)
        self._last_ms = now
        return now


def _script(taken: Taken, profile: Profile, live: Generation | HoldfastError, age_ms: float) -> Script:
    if taken.rung is Rung.LIVE and isinstance(live, Generation):
        model, version = live.model, live.model_version
    else:
        model, version, age_ms = templates.MODEL, templates.VERSION, 0.0
    return Script(
        text=taken.text,
        locale=profile.locale,
        rung=taken.rung,
        model=model,
        model_version=version,
        age_ms=round(age_ms, 3),
    )
