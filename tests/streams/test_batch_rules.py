"""The rules, decided twice: by the stream as records come, and by the batch with all of them before it."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.decision import Crossing, Decision
from schemas.events import Replay
from schemas.policy import RuleBook
from schemas.tenant import Offer, Tenant
from schemas.vocabulary import Locale, Outcome, Strategy
from streams.batch import ExpectedDecision, recompute
from streams.memory import Memory
from streams.tenants import Tenants
from tests.rules import DAY_MS, DAYS, HOUR_MS, NIGHTS, Arrival, arrivals, books, history, run, settled

GIFT = Offer(id="gift", strategy=Strategy.RETENTION_OFFER, text={Locale.EN: "a free month"})
TENANTS = Tenants(
    {
        "acme": Tenant(product="Acme", offers=(GIFT,)),
        "other": Tenant(product="Other", offers=(GIFT,), care_on_rise=True),
    }
)
BOUND_MS = 1000


def as_expected(found: Decision | Crossing) -> ExpectedDecision:
    """What is certain of it beforehand."""
    assert found.ruling is not None
    held_by = found.held_by if isinstance(found, Decision) else found.ruling.held_by
    fields = {
        name: getattr(found, name) for name in ExpectedDecision.__struct_fields__ if hasattr(found, name)
    }
    fields |= {"held_by": held_by, "outcome": Outcome.SENT if held_by is None else Outcome.HELD}
    return ExpectedDecision(**fields)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[RuleBook, int, int, random.Random]:
    """Rules, the time in which users live under them, and chance for all the rest."""
    begin_ms = draw(st.sampled_from(NIGHTS)) - draw(st.integers(20, 60)) * DAY_MS
    until_ms = begin_ms + (DAYS + 25) * DAY_MS
    return draw(books(begin_ms, until_ms)), begin_ms, until_ms, random.Random(draw(st.integers(0, 2**32)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.booleans(), st.sampled_from([0, 6 * HOUR_MS]))
def test_the_stream_decides_as_the_batch_through_disorder_copies_drafts_and_failures(
    world: tuple[RuleBook, int, int, random.Random], composes: bool, lead_ms: int
) -> None:
    book, begin_ms, until_ms, rnd = world
    replay = Replay(until=rnd.choice((begin_ms + 40 * DAY_MS, until_ms)), compose=composes)
    events = history(rnd, begin_ms, replay)
    coming: list[Arrival] = arrivals(rnd, events, BOUND_MS)
    engine = Memory(TENANTS, book=book, bound_ms=BOUND_MS, now_ms=begin_ms, lead_ms=lead_ms)
    run(rnd, engine, coming, until_ms)
    batch = recompute((encode(arrival.event) for arrival in coming), until_ms, book=book, tenants=TENANTS)
    expected = {one.id: one for one in batch.decisions}
    found = [as_expected(one) for one in settled(engine)]
    assert {one.id for one in found} == expected.keys()
    for one in found:  # copies too
        assert one == expected[one.id]
