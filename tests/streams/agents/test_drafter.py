"""From a request to its draft, with a store, a model and a clock of the test's own."""

import asyncio
from contextlib import suppress

import msgspec
import pytest

from inference.client import Generation
from schemas.decision import Draft, DraftRequest, Ruling, Standing
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError
from schemas.events import Account, Login
from schemas.policy import Treatment
from schemas.tenant import Tenant
from schemas.vocabulary import Locale, Reason, Rung, Tier
from streams.agents import drafter as drafting
from streams.agents.author import Author
from streams.agents.drafter import TRIES, Drafter
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.store import User
from streams.tenants import Tenants
from tests.records import crossing
from tests.streams.agents.fakes import GOOD, NOW, Clock, Model, Store

AT = int(NOW) + 300_000
HOUR_MS = 3_600_000
LOGIN = Login(event_id="e1", tenant="acme", user_id="u1", ts=AT - HOUR_MS)


def request(recent: int = 0, at: int = AT) -> DraftRequest:
    asked = crossing(
        id="c1",
        at=at,
        recent=recent,
        account=Account(event_id="a1", tenant="acme", user_id="u1", ts=1, name="Ann"),
    )
    return DraftRequest(crossing=asked, asked_at=at - 300_001)


class Bench:
    """A drafter with all that it asks."""

    def __init__(self, *events: Login) -> None:
        self.clock = Clock()
        self.store = Store(self.clock, *events)
        self.model = Model(self.clock)
        tenants = Tenants({"acme": Tenant(product="Acme Cloud")})
        self.segments = Segments(self.model, Prompter(), self.clock)
        self.drafter = Drafter(
            Author(self.store, tenants),
            self.model,
            self.segments,
            Prompter(),
            detected_after_ms=1_000,
            clock=self.clock,
        )

    async def drafts(self, one: DraftRequest) -> list[Draft]:
        """All that is published for a request."""
        return [draft async for draft in self.drafter.draft(one)]

    async def draft(self, one: DraftRequest) -> Draft:
        """The one draft for a request."""
        (draft,) = await self.drafts(one)
        return draft

    async def write_segments(self) -> None:
        """Lets the model write the scripts that are wanted for segments."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await self.segments.write_for_ever()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "_CATCH_UP_S", 0)
    monkeypatch.setattr(drafting, "_PAUSE_S", 0)


async def test_a_draft_is_whole_and_bound_to_its_request() -> None:
    bench = Bench()
    draft = await bench.draft(request())
    assert draft.text == "Hi Ann, we would like Acme Cloud to be worth your while. Just reply if we can help."
    assert (draft.id, draft.key, draft.at, draft.asked_at) == ("c1", "acme/u1", AT, AT - 300_001)
    assert (draft.locale, draft.reason) == (Locale.EN, Reason.INACTIVE)
    assert (draft.model, draft.model_version) == ("holdfast-nano", "3")
    assert draft.written_ms == bench.clock.now_ms
    assert draft.told is not None and draft.told.named and draft.told.facts["product"] == "Acme Cloud"
    assert bench.model.users == ["acme/u1"], "it is this user's version that writes"


async def test_what_the_guard_refuses_is_written_again_and_at_last_given_up() -> None:
    bench = Bench()
    bench.model.text = "Hi {{name}}, we give you 90% off for ever, just reply."
    with pytest.raises(GenerationError, match="may not be sent"):
        await bench.draft(request())
    assert len(bench.model.asked) == TRIES


async def test_a_sequence_that_lags_is_waited_for() -> None:
    bench = Bench()

    async def later(key: str, as_of_ms: int) -> User:
        bench.store.asked.append((key, as_of_ms))
        return User(events=(LOGIN,) if len(bench.store.asked) == 3 else (), account=None)

    bench.store.user = later  # type: ignore[method-assign]  # the test's own store
    await bench.draft(request(recent=1))
    assert len(bench.store.asked) == 3
    ((prompt, _),) = bench.model.asked
    assert "logins_7d=yes" in prompt


async def test_an_outage_of_the_model_is_waited_out() -> None:
    bench = Bench()
    failures = [BreakerOpen("not asked"), BreakerOpen("not asked")]

    async def generate(prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        if failures:
            raise failures.pop()
        return Generation(text=GOOD, model="holdfast-nano", model_version="3")

    bench.model.generate = generate  # type: ignore[method-assign]  # the test's own model
    assert (await bench.draft(request())).text.startswith("Hi Ann")


async def test_when_the_crossing_s_time_has_come_nothing_is_written() -> None:
    bench = Bench()
    with pytest.raises(DeadlineExceeded):
        await bench.draft(request(at=int(NOW)))
    assert bench.model.asked == []


async def test_where_the_model_does_not_come_in_time_the_segment_s_script_stands_in() -> None:
    bench = Bench()
    await bench.draft(request())
    await bench.write_segments()
    written_ms = bench.clock.now_ms
    bench.clock.now_ms = AT + 500
    bench.model.asked.clear()
    draft = await bench.draft(request())
    assert bench.model.asked == []
    assert draft.rung is Rung.SEGMENT and draft.text.startswith("Hi Ann")
    assert "not written before the crossing's time" in draft.fallbacks[Rung.DRAFT]
    assert (draft.model, draft.model_version) == ("holdfast-nano", "3")
    assert draft.written_ms <= written_ms, "its age is that of the segment's script"


async def test_who_waits_for_the_model_has_the_segment_s_script_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    await bench.draft(request())
    await bench.write_segments()
    monkeypatch.setattr(drafting, "_STANDS_IN_AFTER_S", 0)
    generate = bench.model.generate

    async def slowly(prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        await asyncio.sleep(0.01)
        return await generate(prompt, deadline_ms, user, seed=seed)

    bench.model.generate = slowly  # type: ignore[method-assign]  # the test's own model
    stand_in, draft = await bench.drafts(request())
    assert (stand_in.rung, draft.rung) == (Rung.SEGMENT, Rung.DRAFT)
    assert (stand_in.id, stand_in.asked_at) == (draft.id, draft.asked_at), "the later one takes its place"
    bench.model.text = "Hi {{name}}, we give you 90% off for ever, just reply."
    assert await bench.drafts(request()) == [stand_in], "the one that is there will do"


async def test_where_too_many_wait_the_model_writes_what_can_still_be_in_time() -> None:
    """Each as it becomes due would be begun too late, and the next one after it as well."""
    bench = Bench()
    bench.model.takes_ms = 20.0

    async def generate(prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        bench.model.asked.append((prompt, deadline_ms))
        await asyncio.sleep(0)
        left_ms = deadline_ms - bench.clock.now_ms
        bench.clock.now_ms += min(left_ms, 20.0)
        if left_ms < 20.0:
            raise DeadlineExceeded("too slow")
        return Generation(text=GOOD, model="holdfast-nano", model_version="3")

    bench.model.generate = generate  # type: ignore[method-assign]  # the test's own model
    bench.store.takes_ms = 0
    many = [request(at=int(NOW) + 500 + 5 * number) for number in range(400)]
    found = await asyncio.gather(*map(bench.drafts, many), return_exceptions=True)
    written = [drafts for drafts in found if isinstance(drafts, list)]
    assert len(written) >= 0.9 * (500 + 5 * 400) / 20
    assert all(isinstance(one, list | DeadlineExceeded) for one in found)


async def test_what_the_guard_refuses_again_and_again_is_stood_in_for() -> None:
    bench = Bench()
    await bench.draft(request())
    await bench.write_segments()
    bench.model.text = "Hi {{name}}, we give you 90% off for ever, just reply."
    draft = await bench.draft(request())
    assert draft.rung is Rung.SEGMENT
    assert "may not be sent" in draft.fallbacks[Rung.DRAFT]


async def test_an_experiment_that_wants_drafts_gets_nothing_in_their_place() -> None:
    bench = Bench()
    await bench.draft(request())
    await bench.write_segments()
    wanted = request()
    ruling = Ruling(
        version="1", standing=Standing(at=AT, tier=Tier.HIGH), treatment=Treatment(rung=Rung.DRAFT)
    )
    wanted = msgspec.structs.replace(wanted, crossing=msgspec.structs.replace(wanted.crossing, ruling=ruling))
    bench.clock.now_ms = AT + 500
    with pytest.raises(DeadlineExceeded):
        await bench.draft(wanted)


async def test_a_crossing_that_has_been_is_not_even_read_for() -> None:
    bench = Bench()
    bench.clock.now_ms = AT + 1_000
    with pytest.raises(DeadlineExceeded):
        await bench.draft(request())
    assert bench.store.asked == []
