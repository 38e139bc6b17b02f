"""Runs an agent: `python -m streams.agents assessor|composer|drafter|outcomes|sequences|sieve`.

Its exit status is 1 without a broker.
"""

import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import msgspec
import uvloop

from inference.client import ScriptModel
from inference.registry import Watch
from inference.room import Rooms
from inference.tritonserver import MODEL
from schemas.codec import encode
from schemas.decision import Crossing, DraftRequest
from schemas.errors import GenerationError, HoldfastError
from schemas.topics import (
    ACCOUNT,
    BURSTS,
    CROSSINGS,
    DECISIONS,
    DRAFT_REQUESTS,
    DRAFTS,
    EXAMPLES,
    OUTCOMES,
    RISKS,
    SEQUENCES,
    SUPPORT,
)
from streams.agents import (
    ASSESSOR_GROUP,
    COMPOSER_GROUP,
    DRAFTER_GROUP,
    OUTCOMES_GROUP,
    SEQUENCES_GROUP,
    latest,
)
from streams.agents.agent import READ_AHEAD, Agent, Received, serve
from streams.agents.assessor import Assessor
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.drafter import Drafter
from streams.agents.outcomes import Joiner
from streams.agents.prompter import Prompter
from streams.agents.scorer import Models
from streams.agents.segments import Segments
from streams.agents.sequences import PACKS_AHEAD, written
from streams.agents.sifter import Sifter, clients
from streams.examples import Shelf
from streams.flow import Out, publish
from streams.following import Followed
from streams.joined import RedisJoins
from streams.realtime import keep_what_is_loaded
from streams.settings import Settings, load_settings
from streams.store import SequenceWriter, UserStore
from streams.tenants import load_tenants
from streams.topics import ensure_topics

ASSESSED_AT_ONCE = 2
"""An estimate takes the processor for itself: were there more, Redis's answers would wait too long."""
COMPOSED_AT_ONCE = 16
DRAFTED_AT_ONCE = READ_AHEAD
"""Requests among which the most urgent goes first; further ones wait on their topic."""
REDIS_WITHIN_S, LATER_S = {"composer": 0.02}, 0.5
"""How long Redis may take to tell of a user. Whoever has time waits: a call that is given up costs the
connection, and on a busy machine new ones took a sixth of the drafter's time."""

logger = logging.getLogger(__name__)
_crossings = msgspec.json.Decoder(Crossing)
_requests = msgspec.json.Decoder(DraftRequest)

Parts = list[Coroutine[Any, Any, None]]


async def assessed(assessor: Assessor, received: Received) -> AsyncIterator[Iterable[Out]]:
    """The assessment at an event, or nothing where it is no occasion for one."""
    risk = await assessor.assess(received)
    if risk is not None:
        yield [Out(RISKS.name, risk.key.encode(), encode(risk))]


async def composed(composer: Composer, received: Received) -> AsyncIterator[Iterable[Out]]:
    """The decision on a crossing, and where it goes."""
    yield publish(await composer.compose(_crossings.decode(received.value or b"")))


async def drafted(drafter: Drafter, received: Received) -> AsyncIterator[Iterable[Out]]:
    """The draft that was asked for; nothing where none can be had, and the crossing takes another rung."""
    request = _requests.decode(received.value or b"")
    try:
        async for draft in drafter.draft(request):
            yield [Out(DRAFTS.name, draft.key.encode(), encode(draft))]
    except GenerationError as error:
        logger.warning("no draft for %s: %s", request.crossing.id, error)


async def assessing(settings: Settings, users: UserStore, opened: AsyncExitStack) -> Parts:
    """The parts of the assessor's process."""
    assessor = Assessor(users, Models(settings.model_repository), load_tenants(settings.tenants_file))
    await assessor.warm_up()
    work = partial(assessed, assessor)
    return [Agent(settings, (SUPPORT, ACCOUNT, BURSTS), ASSESSOR_GROUP, work, ASSESSED_AT_ONCE).run()]


async def composing(settings: Settings, users: UserStore, opened: AsyncExitStack) -> Parts:
    """The parts of the composer's process."""
    author, model, prompter = await _writers(settings, users, opened)
    segments = Segments(model, prompter)
    composer = Composer(
        author=author,
        model=model,
        segments=segments,
        prompter=prompter,
        budget_ms=settings.budget_ms,
        publish_margin_ms=settings.publish_margin_ms,
        at_once=settings.drafts_at_once,
    )
    try:
        await composer.warm_up()
    except HoldfastError as error:
        logger.warning("scripts come from templates for now: %s", error)
    work = partial(composed, composer)
    agent = Agent(settings, (CROSSINGS,), COMPOSER_GROUP, work, COMPOSED_AT_ONCE)
    return [agent.run(), segments.write_for_ever()]


async def drafting(settings: Settings, users: UserStore, opened: AsyncExitStack) -> Parts:
    """The parts of the drafter's process."""
    author, model, prompter = await _writers(settings, users, opened)
    segments = Segments(model, prompter)
    drafter = Drafter(author, model, segments, prompter, settings.drafts_at_once, settings.watermark_bound_ms)
    work = partial(drafted, drafter)
    agent = Agent(settings, (DRAFT_REQUESTS,), DRAFTER_GROUP, work, DRAFTED_AT_ONCE)
    return [agent.run(), segments.write_for_ever()]


async def joining(settings: Settings, users: UserStore, opened: AsyncExitStack) -> Parts:
    """The parts of the process that joins outcomes to decisions, and keeps each user's latest for readers."""
    store = RedisJoins(settings.redis_url)
    opened.push_async_callback(store.close)
    work, topics = Joiner(store).take, (DECISIONS, OUTCOMES)
    joiner = Agent(settings, topics, OUTCOMES_GROUP, work, at_once=1, offsets=store)
    return [joiner.run(), latest.keep_decisions(settings)]


async def writing(settings: Settings, users: UserStore, opened: AsyncExitStack) -> Parts:
    """The parts of the process that writes the sequences."""
    writer = SequenceWriter(settings.redis_url)
    opened.callback(writer.close)
    work = partial(written, writer)
    return [Agent(settings, (SEQUENCES,), SEQUENCES_GROUP, work, at_once=1, ahead=PACKS_AHEAD).run()]


async def sifting(settings: Settings, users: UserStore, opened: AsyncExitStack) -> Parts:
    """The part of the process that sifts the events."""
    return [Sifter(*clients(settings)).run()]


ROLES: dict[str, Callable[[Settings, UserStore, AsyncExitStack], Coroutine[Any, Any, Parts]]] = {
    "assessor": assessing,
    "composer": composing,
    "drafter": drafting,
    "outcomes": joining,
    "sequences": writing,
    "sieve": sifting,
}


def main() -> None:
    """Works until the process is told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they log each attempt to connect
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role not in ROLES:
        sys.exit(f"usage: python -m streams.agents {'|'.join(ROLES)}")
    try:
        settings = load_settings()
        ensure_topics(settings.bootstrap_servers)
        uvloop.run(_run(role, settings))
    except HoldfastError as error:
        print(f"{role}: {error}", file=sys.stderr)
        sys.exit(1)


async def _writers(
    settings: Settings, users: UserStore, opened: AsyncExitStack
) -> tuple[Author, ScriptModel, Prompter]:
    """Who tells of users, who writes to them, and who asks for it."""
    author = Author(users, load_tenants(settings.tenants_file))
    watch = Watch(settings.model_repository, MODEL)
    examples = Followed(settings.bootstrap_servers, EXAMPLES, Shelf())
    opened.callback(examples.close)
    prompter = Prompter(lambda tenant: examples.copy.of(tenant), Rooms(settings.model_repository / MODEL))
    model = ScriptModel(settings.triton_url, watch.serving)
    return author, await opened.enter_async_context(model), prompter


async def _run(role: str, settings: Settings) -> None:
    async with AsyncExitStack() as opened:
        users = UserStore(settings.redis_url, REDIS_WITHIN_S.get(role, LATER_S))
        opened.push_async_callback(users.close)
        parts = await ROLES[role](settings, users, opened)
        keep_what_is_loaded()
        await serve(settings.bootstrap_servers, parts)


if __name__ == "__main__":
    main()
