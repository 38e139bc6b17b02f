"""Writes scripts ahead of their crossings: a request in, a draft out, or none.

Nobody waits here, so the model gets time, the sequence may catch up, and what the guard refuses is written
again. Tenants take turns, and of a tenant what is nearest to its crossing goes first, unless the model could
not write it in time any more: where too many cross at once it would write none to its end.

Where the model keeps a request waiting, for an outage or since there are many, the script of the user's
segment is filled in and stands in until the model has written: at the crossing it takes nobody's time. A
request whose crossing has been is dropped. Few drafts at a time are written, so that the live rung need not
wait for many. Further drafters, in processes of their own, share the requests as one consumer group.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from inference.client import Generation, seed_of
from operators.ladder import Exhausted, Taken, settle
from schemas.decision import Draft, DraftRequest
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError, UnavailableError
from schemas.profile import Profile
from schemas.vocabulary import Rung
from streams.agents.author import Author, Model, now_ms, treatment_of
from streams.agents.pace import Pace
from streams.agents.prompter import Prompter, Written, told
from streams.agents.segments import Segments
from streams.agents.turns import Turns

TRIES = 3
PATIENCE_MS = 2_000
"""How long the model may take for one script."""
_CATCH_UP_S, _CATCH_UPS = 0.5, 6
"""The pause before a sequence that is not complete is read again, and how often that is done."""
_PAUSE_S = 1.0
_STANDS_IN_AFTER_S = 1.0
"""How long the model may keep a request waiting before its segment's script stands in."""
_READ_AT_ONCE = 16

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
        self._turns, self._reading = Turns(at_once), Turns(_READ_AT_ONCE)
        self._pace = Pace()

    async def draft(self, request: DraftRequest) -> AsyncIterator[Draft]:
        """The script for the crossing that `request` foresees, after what stands in for it meanwhile.

        Raises:
            DeadlineExceeded: the crossing's time has come, and nothing stands in.
            GenerationError: the model wrote nothing that may be sent, and nothing stands in.
        """
        if self._left_ms(request) <= -self._detected_after_ms:
            raise DeadlineExceeded("the crossing has come")
        profile = await self._profile(request)
        self._segments.of(profile, request.crossing.key)  # wanted now, to be there in need
        writing = asyncio.create_task(self._written(request, profile))
        try:
            left_s = max(0.0, self._left_ms(request) / 1000)
            await asyncio.wait([writing], timeout=min(_STANDS_IN_AFTER_S, left_s))
            stand_in = None
            if not writing.done():
                stand_in = self._stand_in(request, profile, DeadlineExceeded("not written in time"))
                if stand_in is not None:
                    yield stand_in
            try:
                yield await writing
            except GenerationError as error:
                if stand_in is not None:
                    return
                stand_in = self._stand_in(request, profile, error)
                if stand_in is None:
                    raise
                yield stand_in
        finally:
            writing.cancel()

    def _stand_in(self, request: DraftRequest, profile: Profile, why: GenerationError) -> Draft | None:
        """The segment's script for this user, where there is one that may be sent."""
        segment = self._segments.of(profile, request.crossing.key)
        if segment is None or self._author.only_rung(request.crossing) is not None:
            return None
        settled = settle(profile, [(Rung.DRAFT, why), (Rung.SEGMENT, segment.made.text)])
        if isinstance(settled, Exhausted) or settled.rung is not Rung.SEGMENT:
            return None
        return _draft(request, profile, settled, segment)

    async def _written(self, request: DraftRequest, profile: Profile) -> Draft:
        """What the model writes for this user."""
        refused = "nothing was written"
        for number in range(TRIES):
            asked = self._prompter.ask(profile, self._model.version_for(request.crossing.key))
            seed = seed_of(request.crossing.id, request.asked_at, number)
            made = await self._generated(request, asked.text, seed)
            if isinstance(made, DeadlineExceeded):
                refused = str(made)
                continue
            settled = settle(profile, [(Rung.DRAFT, made.text)])
            if isinstance(settled, Taken) and settled.rung is Rung.DRAFT:
                return _draft(request, profile, settled, Written(made, self._clock(), asked.examples))
            refused = settled.fallbacks[Rung.DRAFT]
        raise GenerationError(f"{TRIES} scripts in turn may not be sent, the last for {refused}")

    async def _generated(self, request: DraftRequest, asked: str, seed: int) -> Generation | DeadlineExceeded:
        """What the model writes, through its outages, in this request's turn; or that it took too long.

        Raises:
            DeadlineExceeded: the turn came too late.
        """
        while True:
            async with self._turns.turn(request.crossing.tenant, request.crossing.decided_at):
                begun_ms, left_ms = self._clock(), self._left_ms(request)
                if left_ms <= 0 or not self._pace.fits(left_ms):
                    raise DeadlineExceeded("not written before the crossing's time")
                try:
                    deadline_ms = begun_ms + min(PATIENCE_MS, left_ms)
                    made = await self._model.generate(asked, deadline_ms, request.crossing.key, seed=seed)
                    self._pace.took(self._clock() - begun_ms)
                    return made
                except DeadlineExceeded as error:
                    self._pace.gave_up_after(self._clock() - begun_ms)
                    return error
                except (BreakerOpen, UnavailableError) as error:
                    logger.warning("no drafts for now: %s", error)
            await asyncio.sleep(max(0.0, min(_PAUSE_S, self._left_ms(request) / 1000)))

    async def _profile(self, request: DraftRequest) -> Profile:
        """Of the user's sequence, once it is complete; as it is where that does not come about in time."""
        for _ in range(_CATCH_UPS):
            async with self._reading.turn(request.crossing.tenant, request.crossing.decided_at):
                user = await self._author.read(request.crossing)
            profile, complete = self._author.portrait(request.crossing, user)
            if complete or self._left_ms(request) <= 0:
                break
            await asyncio.sleep(_CATCH_UP_S)
        return profile

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
