"""What a script's author is told of a user: read from Redis, reduced to features, worded as a profile."""

import time
from typing import NamedTuple, Protocol

import msgspec

from inference.client import Generation
from operators import encode, features, templates
from schemas.decision import Crossing
from schemas.errors import UnavailableError
from schemas.policy import AS_EVER, Treatment
from schemas.profile import Profile
from schemas.risk import Assessment
from schemas.vocabulary import Cause, Reason, Rung, Tier, Trigger
from streams.store import User
from streams.tenants import Tenants

_HAPPENED = {Trigger.SUPPORT: Reason.SUPPORT, Trigger.ERRORS: Reason.ERRORS}


class Model(Protocol):
    """Writes scripts, as `inference.client.ScriptModel` does."""

    def version_for(self, user: str) -> str:
        """The version that writes for `user` (`tenant/user_id`) at this moment."""
        ...

    async def generate(self, prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        """A Mustache template before `deadline_ms` (epoch ms), or a GenerationError or UnavailableError.

        `user`'s version of the model writes it; the promoted one where it is for nobody. Its chance begins
        with `seed`.
        """
        ...


class Users(Protocol):
    """Knows users' events and accounts, or raises UnavailableError."""

    async def user(self, key: str, as_of_ms: int) -> User:
        """The user's 30 days up to `as_of_ms`."""
        ...


def treatment_of(crossing: Crossing) -> Treatment:
    """What the user's arms change."""
    return AS_EVER if crossing.ruling is None else crossing.ruling.treatment


def now_ms() -> float:
    """The time, epoch ms."""
    return time.time() * 1000


class Portrait(NamedTuple):
    """A profile, and whether it is of all that the user did."""

    profile: Profile
    complete: bool


class Author:
    """Makes profiles of users at their crossings. Redis is not needed for one, but makes it richer."""

    def __init__(self, users: Users, tenants: Tenants) -> None:
        self._users = users
        self._tenants = tenants

    async def read(self, crossing: Crossing) -> User:
        """The user as Redis has them at the crossing; without events where Redis does not answer."""
        try:
            return await self._users.user(crossing.key, _as_of_ms(crossing) - 1)
        except UnavailableError:
            return User(events=(), account=None)  # the crossing's own counts will do

    def profile(self, crossing: Crossing, user: User) -> Profile:
        """The profile at the crossing, as `portrait` has it."""
        return self.portrait(crossing, user).profile

    def portrait(self, crossing: Crossing, user: User) -> Portrait:
        """The profile at the crossing, of a sequence that is complete, else of the crossing's counts alone.

        A sequence that lags, or has lost something, would put wrong numbers into a script. Complete is one
        that has just the active hours of the last week that the stream has counted.
        """
        found = _features(crossing, user)
        at_boundary = crossing.cause is not Cause.RISK  # only there are hours panes
        complete = not at_boundary or found.hours_seen_7d == crossing.recent
        if not complete:
            found = _features(crossing, User(events=(), account=user.account))
        profile = encode.profile(
            found,
            tenant_id=crossing.tenant,
            tenant=self._tenants.of(crossing.tenant),
            tier=crossing.to_tier,
            account=crossing.account or user.account,
            treatment=treatment_of(crossing),
        )
        if crossing.risk is not None:
            profile = _at_risk(profile, crossing.risk)
        return Portrait(profile, complete)

    def text(self, profile: Profile) -> templates.Text:
        """What people wrote for the user of `profile`: the tenant's own people, or ours."""
        return templates.text_of(self._tenants.of(profile.tenant), profile)

    def only_rung(self, crossing: Crossing) -> Rung | None:
        """The one rung that may write, where the tenant or an experiment wants just one."""
        if self._tenants.of(crossing.tenant).only_templates:
            return Rung.TEMPLATE
        return treatment_of(crossing).rung

    def nobody(self) -> Profile:
        """A profile to try the model with."""
        found = features.compute((), account=None, as_of_ms=0, recent=0, prior=1, usual=1.0)
        tenant = self._tenants.of("nobody")
        return encode.profile(found, tenant_id="nobody", tenant=tenant, tier=Tier.CRITICAL, account=None)


def _at_risk(profile: Profile, risk: Assessment) -> Profile:
    """What a risk crossing adds: its reasons first, and where nothing has dropped yet, what just happened."""
    happened = _HAPPENED.get(risk.trigger)
    is_news = profile.reason is Reason.STEADY and happened is not None
    return msgspec.structs.replace(
        profile,
        reason=happened if is_news else profile.reason,
        sentences=(*risk.words.get(profile.locale, ()), *profile.sentences),
    )


def _as_of_ms(crossing: Crossing) -> int:
    """A risk crossing's own event counts; the boundary of a decline or rise is outside."""
    return crossing.at + (crossing.cause is Cause.RISK)


def _features(crossing: Crossing, user: User) -> features.Features:
    return features.compute(
        user.events,
        account=crossing.account or user.account,
        as_of_ms=_as_of_ms(crossing),
        recent=crossing.recent,
        prior=crossing.prior,
        usual=crossing.usual,
    )
