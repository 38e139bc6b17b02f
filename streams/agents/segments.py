"""Scripts for many: written ahead for all of a tenant's users of the same tier, reason, language, plan and
known facts.

A segment's script is a Mustache template; each user's own facts fill it in at the crossing. One is written as
soon as somebody of the segment was seen without it. Each version of the model writes its own, and another
where it is shown other examples: the first user of a new one has all segments of their tenant written anew,
and after a rollback those of the older one are still there. Tenants share nothing but the model's time and
the room, each in fair shares.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from inference.client import seed_of
from inference.prompt import header
from operators.ladder import Taken, settle
from schemas.errors import HoldfastError
from schemas.profile import Profile
from schemas.vocabulary import Rung
from streams.agents.author import Model, now_ms
from streams.agents.prompter import Prompter, Written
from streams.agents.turns import FairQueue

PATIENCE_MS = 5_000
"""How long the model may take for a segment, with nobody waiting."""
TRIES = 3
_PAUSE_S = 1.0
_KEPT = 4096
"""Segments that are kept of all tenants: tiers x reasons x languages x sets of facts are 10,000 at most,
times plans. The oldest one of the tenant with the most makes room."""
_WANTED = 512
"""Segments of one tenant that may wait to be written."""

logger = logging.getLogger(__name__)


class _Version(NamedTuple):
    """That of the model, and that of the examples which it is shown."""

    model: str
    examples: str


class _Key(NamedTuple):
    tenant: str
    segment: str
    version: _Version


class _Kept(NamedTuple):
    written: Written
    profile: Profile


class Segments:
    """The scripts by segment and version of the model, and the task that writes them.

    `user` is `tenant/user_id`: the version is the one that writes for that user.
    """

    def __init__(self, model: Model, prompter: Prompter, clock: Callable[[], float] = now_ms) -> None:
        self._model = model
        self._prompter = prompter
        self._clock = clock
        self._written: dict[str, dict[_Key, _Kept]] = {}
        self._wanted: FairQueue[tuple[_Key, Profile, str]] = FairQueue()
        self._any_wanted = asyncio.Event()
        self._asked: set[_Key] = set()
        self._versions: set[tuple[str, _Version]] = set()

    def of(self, profile: Profile, user: str) -> Written | None:
        """The template of the user's segment; a missing one is wanted."""
        key = self._key(profile, user)
        written = self._written.setdefault(key.tenant, {})
        if (key.tenant, key.version) not in self._versions:
            self._versions.add((key.tenant, key.version))
            for other in written.values():
                self.want(other.profile, user)
        found = written.get(key)
        if found is None:
            self.want(profile, user)
            return None
        return found.written

    def want(self, profile: Profile, user: str) -> None:
        """Have the segment of `profile` written by the user's version, when the model has time."""
        key = self._key(profile, user)
        if key in self._written.get(key.tenant, {}) or key in self._asked:
            return
        if self._wanted.waiting(key.tenant) >= _WANTED:
            return
        self._asked.add(key)
        self._wanted.put(key.tenant, 0, (key, profile, user))
        self._any_wanted.set()

    async def write_for_ever(self) -> None:
        """Writes what is wanted, one at a time, of each tenant in turn."""
        while True:
            while not self._wanted:
                self._any_wanted.clear()
                await self._any_wanted.wait()
            key, profile, user = self._wanted.take()
            try:
                await self._write(profile, user)
            except HoldfastError as error:
                logger.warning("no script for a segment: %s", error)
                await asyncio.sleep(_PAUSE_S)
            finally:
                self._asked.discard(key)

    async def _write(self, profile: Profile, user: str) -> None:
        """Keeps a template that passes the guard for the first user of the segment."""
        anyone = msgspec.structs.replace(profile, sentences=())
        for number in range(TRIES):
            key = self._key(profile, user)
            asked = self._prompter.ask(anyone, key.version.model)
            # Of the user as well: what nobody may be sent is not written for the next one again.
            seed = seed_of(user, key.segment, number)
            made = await self._model.generate(asked.text, self._clock() + PATIENCE_MS, user, seed=seed)
            settled = settle(profile, [(Rung.SEGMENT, made.text)])
            if isinstance(settled, Taken) and settled.rung is Rung.SEGMENT:
                version = key.version._replace(model=made.model_version)
                self._keep(
                    key._replace(version=version),
                    _Kept(Written(made, self._clock(), asked.examples), profile),
                )
                return
        logger.info("the model wrote nothing that may be sent to %s", header(profile))

    def _keep(self, key: _Key, kept: _Kept) -> None:
        while sum(map(len, self._written.values())) >= _KEPT:
            most = max(self._written.items(), key=lambda one: len(one[1]) + (one[0] == key.tenant))[1]
            del most[next(iter(most))]
        self._written.setdefault(key.tenant, {})[key] = kept

    def _key(self, profile: Profile, user: str) -> _Key:
        model = self._model.version_for(user)
        version = _Version(model, self._prompter.version(profile.tenant, model))
        return _Key(profile.tenant, header(profile), version)
