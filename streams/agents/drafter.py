"""Writes scripts ahead of their crossings: a request in, a draft out, or none.

Nobody waits here, so the model gets time, the sequence may catch up, and what the guard refuses is written
again. Tenants take turns, and of a tenant what is nearest to its crossing goes first. Where the time has come
and the model has not, for an outage or since too many cross at once, the script of the user's segment is
filled in and stands in: at the crossing it takes nobody's time. A request whose crossing has been is dropped.
Few drafts at a time are written, so that the live rung need not wait for many. Further drafters, in processes
of their own, share the requests as one consumer group.
"""

import asyncio
import logging
from collections.abc import Callable

from inference.client import Generation, seed_of
from operators.ladder import Exhausted, Taken, settle
from schemas.decision import Draft, DraftRequest
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError, UnavailableError
from schemas.profile import Profile
from schemas.vocabulary import Rung
from streams.agents.author import Author, Model, now_ms, treatment_of
from streams.agents.prompter import Prompter, Written, told
from streams.agents.segments import Segments
from streams.agents.turns import Turns
from streams.store import User

TRIES = 3
PATIENCE_MS = 2_000
"""How long the model may take for one script."""
_CATCH_UP_S, _CATCH_UPS = 0.5, 6
"""The pause before a sequence that is not complete is read again, and how often that is done."""
_PAUSE_S = 1.0

logger = logging.getLogger(__name__)


class Drafter:
    """Writes drafts; may be asked for several at once, and has `at_once` of them written at the same time.

    A crossing is detected `detected_after_ms` after its time: event time is that far behind.
    """

    def __init__(
        self,
        author: Author,
        model: Model,
        segments: Segments,
        prompter: Prompter,
        at_once: int = 1,
        detected_after_ms: float = 0.0,
        clock: Callable[[], float] = now_ms,
    ) -> None:
        self._author = author
        self._model = model
        self._segments = segments
        self._prompter = prompter
        self._detected_after_ms = detected_after_ms
        self._clock = clock
        self._turns = Turns(at_once)

    async def draft(self, request: DraftRequest) -> Draft:
        """The script for the crossing that `request` foresees, or what stands in for it.

        Raises:
            DeadlineExceeded: the crossing's time has come, and nothing stands in.
            GenerationError: the model wrote nothing that may be sent, and nothing stands in.
        """
        if self._left_ms(request) <= -self._detected_after_ms:
            raise DeadlineExceeded("the crossing has come")
        profile = self._author.profile(request.crossing, await self._complete(request))
        self._segments.of(profile, request.crossing.key)  # wanted now, to be there in need
        try:
            return await self._written(request, profile)
        except GenerationError as error:
            segment = self._segments.of(profile, request.crossing.key)
            if segment is None or self._author.only_rung(request.crossing) is not None:
                raise
            settled = settle(profile, [(Rung.DRAFT, error), (Rung.SEGMENT, segment.made.text)])
            if isinstance(settled, Exhausted) or settled.rung is not Rung.SEGMENT:
                raise
            return _draft(request, profile, settled, segment)

    async def _written(self, request: DraftRequest, profile: Profile) -> Draft:
        """What the model writes for this user."""
        refused = "nothing was written"
        for number in range(TRIES):
            asked = self._prompter.ask(profile, self._model.version_for(request.crossing.key))
            seed = seed_of(request.crossing.id, request.asked_at, number)
            try:
                made = await self._generated(request, asked.text, seed)
            except DeadlineExceeded as error:
                self._check_time(request)
                refused = str(error)
                continue
            settled = settle(profile, [(Rung.DRAFT, made.text)])
            if isinstance(settled, Taken) and settled.rung is Rung.DRAFT:
                return _draft(request, profile, settled, Written(made, self._clock(), asked.examples))
            refused = settled.fallbacks[Rung.DRAFT]
        raise GenerationError(f"{TRIES} scripts in turn may not be sent, the last for {refused}")

    async def _generated(self, request: DraftRequest, asked: str, seed: int) -> Generation:
        """What the model writes, through its outages, in this request's turn."""
        while True:
            async with self._turns.turn(request.crossing.tenant, request.crossing.decided_at):
                self._check_time(request)
                try:
                    deadline_ms = self._clock() + min(PATIENCE_MS, self._left_ms(request))
                    return await self._model.generate(asked, deadline_ms, request.crossing.key, seed=seed)
                except (BreakerOpen, UnavailableError) as error:
                    logger.warning("no drafts for now: %s", error)
            await asyncio.sleep(max(0.0, min(_PAUSE_S, self._left_ms(request) / 1000)))

    async def _complete(self, request: DraftRequest) -> User:
        """The user's sequence, once it is complete; as it is where that does not come about in time."""
        for _ in range(_CATCH_UPS):
            user = await self._author.read(request.crossing)
            if self._left_ms(request) <= 0 or self._author.is_complete(request.crossing, user):
                break
            await asyncio.sleep(_CATCH_UP_S)
        return user

    def _check_time(self, request: DraftRequest) -> None:
        if self._left_ms(request) <= 0:
            raise DeadlineExceeded("not written before the crossing's time")

    def _left_ms(self, request: DraftRequest) -> float:
        return request.crossing.decided_at - self._clock()


def _draft(request: DraftRequest, profile: Profile, taken: Taken, written: Written) -> Draft:
    crossing = request.crossing
    return Draft(
        id=crossing.id,
        tenant=crossing.tenant,
        user_id=crossing.user_id,
        at=crossing.at,
        asked_at=request.asked_at,
        reason=profile.reason,
        treatment=treatment_of(crossing),
        text=taken.text,
        template=taken.template,
        locale=profile.locale,
        model=written.made.model,
        model_version=written.made.model_version,
        written_ms=written.written_ms,
        told=told(profile, written),
        rung=taken.rung,
        fallbacks={rung: why for rung, why in taken.fallbacks.items() if rung is not Rung.LIVE},
    )
