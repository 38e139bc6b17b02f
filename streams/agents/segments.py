"""Scripts for many: written ahead for everyone of the same tier, reason, language, plan and known facts.

A segment's script is a Mustache template; each user's own facts fill it in at the crossing. One is written as
soon as somebody of the segment was seen without it. Each version of the model writes its own: the first user
of a new one has all segments written anew, and after a rollback those of the older one are still there.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from inference.client import Generation
from inference.prompt import header, prompt
from operators.ladder import Taken, settle
from schemas.errors import HoldfastError
from schemas.profile import Profile
from schemas.vocabulary import Rung
from streams.agents.author import Model, now_ms

PATIENCE_MS = 5_000
"""How long the model may take for a segment, with nobody waiting."""
TRIES = 3
_PAUSE_S = 1.0
_KEPT = 4096
"""Segments that are kept: tiers x reasons x languages x sets of facts are 10,000 at most, times plans."""

logger = logging.getLogger(__name__)


class _Key(NamedTuple):
    segment: str
    version: str


class _Written(NamedTuple):
    made: Generation
    written_ms: float
    profile: Profile


class Segments:
    """The scripts by segment and version of the model, and the task that writes them.

    `user` is `tenant/user_id`: the version is the one that writes for that user.
    """

    def __init__(self, model: Model, clock: Callable[[], float] = now_ms) -> None:
        self._model = model
        self._clock = clock
        self._written: dict[_Key, _Written] = {}
        self._wanted: asyncio.Queue[tuple[_Key, Profile, str]] = asyncio.Queue(maxsize=_KEPT)
        self._asked: set[_Key] = set()
        self._versions: set[str] = set()

    def of(self, profile: Profile, user: str) -> tuple[Generation, float] | None:
        """The template of the user's segment and when (epoch ms) it was written; a missing one is wanted."""
        key = self._key(profile, user)
        if key.version not in self._versions:
            self._versions.add(key.version)
            for written in self._written.values():
                self.want(written.profile, user)
        found = self._written.get(key)
        if found is None:
            self.want(profile, user)
            return None
        return found.made, found.written_ms

    def want(self, profile: Profile, user: str) -> None:
        """Have the segment of `profile` written by the user's version, when the model has time."""
        key = self._key(profile, user)
        if key in self._written or key in self._asked or self._wanted.full():
            return
        self._asked.add(key)
        self._wanted.put_nowait((key, profile, user))

    async def write_for_ever(self) -> None:
        """Writes what is wanted, one at a time."""
        while True:
            key, profile, user = await self._wanted.get()
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
        for _ in range(TRIES):
            made = await self._model.generate(prompt(anyone), self._clock() + PATIENCE_MS, user)
            settled = settle(profile, [(Rung.SEGMENT, made.text)])
            if isinstance(settled, Taken) and settled.rung is Rung.SEGMENT:
                self._keep(_Key(header(profile), made.model_version), profile, made)
                return
        logger.info("the model wrote nothing that may be sent to %s", header(profile))

    def _keep(self, key: _Key, profile: Profile, made: Generation) -> None:
        while len(self._written) >= _KEPT:
            del self._written[next(iter(self._written))]
        self._written[key] = _Written(made, self._clock(), profile)

    def _key(self, profile: Profile, user: str) -> _Key:
        return _Key(header(profile), self._model.version_for(user))
