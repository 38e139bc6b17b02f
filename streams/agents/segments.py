"""Scripts for many: written ahead for everyone of the same tier, reason, language, plan and known facts.

A segment's script is a Mustache template; each user's own facts fill it in at the crossing. One is written as
soon as somebody of the segment was seen without it, and all anew when another version of the model serves.
"""

import asyncio
import logging
from collections.abc import Callable

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


class Segments:
    """The scripts by segment, and the task that writes them."""

    def __init__(self, model: Model, clock: Callable[[], float] = now_ms) -> None:
        self._model = model
        self._clock = clock
        self._written: dict[str, tuple[Generation, float]] = {}
        self._wanted: asyncio.Queue[Profile] = asyncio.Queue(maxsize=_KEPT)
        self._asked: set[str] = set()

    def of(self, profile: Profile) -> tuple[Generation, float] | None:
        """The template of the user's segment and when (epoch ms) it was written; a missing one is wanted."""
        segment = header(profile)
        found = self._written.get(segment)
        if found is None:
            self.want(profile)
        return found

    def want(self, profile: Profile) -> None:
        """Have the segment of `profile` written, when the model has time."""
        segment = header(profile)
        if segment in self._written or segment in self._asked or self._wanted.full():
            return
        self._asked.add(segment)
        self._wanted.put_nowait(profile)

    async def write_for_ever(self) -> None:
        """Writes what is wanted, one at a time."""
        while True:
            profile = await self._wanted.get()
            try:
                await self._write(profile)
            except HoldfastError as error:
                logger.warning("no script for a segment: %s", error)
                await asyncio.sleep(_PAUSE_S)
            finally:
                self._asked.discard(header(profile))

    async def _write(self, profile: Profile) -> None:
        """Keeps a template that passes the guard for the first user of the segment."""
        anyone = msgspec.structs.replace(profile, sentences=())
        for _ in range(TRIES):
            made = await self._model.generate(prompt(anyone), self._clock() + PATIENCE_MS)
            settled = settle(profile, [(Rung.SEGMENT, made.text)])
            if isinstance(settled, Taken) and settled.rung is Rung.SEGMENT:
                self._keep(header(profile), made)
                return
        logger.info("the model wrote nothing that may be sent to %s", header(profile))

    def _keep(self, segment: str, made: Generation) -> None:
        if any(other.model_version != made.model_version for other, _ in self._written.values()):
            self._written.clear()
        while len(self._written) >= _KEPT:
            del self._written[next(iter(self._written))]
        self._written[segment] = (made, self._clock())
