"""Writes scripts ahead of their crossings: a request in, a draft out, or none.

Nobody waits here, so the model gets time, the sequence may catch up, and what the guard refuses is written
again. Tenants take turns, and of a tenant what is nearest to its crossing goes first. A request whose time
has passed is dropped: at the crossing another rung was taken. Few drafts at a time are written, so that the
live rung need not wait for many. Further drafters, in processes of their own, share the requests as one
consumer group.
"""

import asyncio
import logging
from collections.abc import Callable

from inference.client import Generation, seed_of
from operators.ladder import Taken, settle
from schemas.decision import Draft, DraftRequest
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError, UnavailableError
from schemas.vocabulary import Rung
from streams.agents.author import Author, Model, now_ms, treatment_of
from streams.agents.prompter import Prompter, Written, told
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
    """Writes drafts; may be asked for several at once, and has `at_once` of them written at the same time."""

    def __init__(
        self,
        author: Author,
        model: Model,
        prompter: Prompter,
        at_once: int = 1,
        clock: Callable[[], float] = now_ms,
    ) -> None:
        self._author = author
        self._model = model
        self._prompter = prompter
        self._clock = clock
        self._turns = Turns(at_once)

    async def draft(self, request: DraftRequest) -> Draft:
        """The script for the crossing that `request` foresees.

        Raises:
            DeadlineExceeded: the crossing's time has come.
            GenerationError: the model wrote nothing that may be sent.
        """
        crossing = request.crossing
        user = await self._complete(request)
        profile = self._author.profile(crossing, user)
        refused = "nothing was written"
        for number in range(TRIES):
            asked = self._prompter.ask(profile, self._model.version_for(crossing.key))
            seed = seed_of(crossing.id, request.asked_at, number)
            try:
                made = await self._written(request, asked.text, seed)
            except DeadlineExceeded as error:
                self._check_time(request)
                refused = str(error)
                continue
            settled = settle(profile, [(Rung.DRAFT, made.text)])
            if isinstance(settled, Taken) and settled.rung is Rung.DRAFT:
                return Draft(
                    id=crossing.id,
                    tenant=crossing.tenant,
                    user_id=crossing.user_id,
                    at=crossing.at,
                    asked_at=request.asked_at,
                    reason=profile.reason,
                    treatment=treatment_of(crossing),
                    text=settled.text,
                    template=settled.template,
                    locale=profile.locale,
                    model=made.model,
                    model_version=made.model_version,
                    written_ms=self._clock(),
                    told=told(profile, Written(made, self._clock(), asked.examples)),
                )
            refused = settled.fallbacks[Rung.DRAFT]
        raise GenerationError(f"{TRIES} scripts in turn may not be sent, the last for {refused}")

    async def _written(self, request: DraftRequest, asked: str, seed: int) -> Generation:
        """What the model writes, through its outages, in this request's turn."""
        while True:
            async with self._turns.turn(request.crossing.tenant, request.crossing.decided_at):
                self._check_time(request)
                try:
                    deadline_ms = self._clock() + PATIENCE_MS
                    return await self._model.generate(asked, deadline_ms, request.crossing.key, seed=seed)
                except (BreakerOpen, UnavailableError) as error:
                    logger.warning("no drafts for now: %s", error)
            await asyncio.sleep(_PAUSE_S)

    async def _complete(self, request: DraftRequest) -> User:
        """The user's sequence, once it is complete; as it is where that does not come about."""
        for _ in range(_CATCH_UPS):
            user = await self._author.read(request.crossing)
            if self._author.is_complete(request.crossing, user):
                break
            self._check_time(request)
            await asyncio.sleep(_CATCH_UP_S)
        return user

    def _check_time(self, request: DraftRequest) -> None:
        if self._clock() >= request.crossing.decided_at:
            raise DeadlineExceeded("the crossing's time has come")
