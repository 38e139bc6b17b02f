"""The rules on each engine: they hold through a change of version and a kill, and decide as the batch."""

import random
import time
from collections import Counter

import pytest

from schemas.codec import encode
from schemas.events import Account, Event
from schemas.policy import Cap, Policy, QuietHours, RuleBook, Rules
from schemas.vocabulary import HeldBy
from streams.batch import recompute
from streams.flink.rest import Rest
from tests.promises import assert_kept, assert_one_version_each, is_sent
from tests.rules import ZONES, settled
from tests.streams.conftest import Engine, History, OnFlink
from tests.streams.flink.test_job import send_all
from tests.streams.test_batch_rules import as_expected

STRICT = Policy(caps=(Cap(scripts=1, days=7),), quiet_hours=QuietHours(begin="18:00", end="10:00"))
LOOSE = Policy(caps=(Cap(scripts=3, days=31),), quiet_hours=QuietHours(begin="23:00", end="06:00"))


def accounts(events: list[Event]) -> list[Account]:
    """An account for each user before all else; a third of them opt out later, and some of these in again."""
    rnd, found = random.Random(1), []
    begin_ms, end_ms = events[0].ts, events[-1].ts
    for number, key in enumerate(sorted({event.key for event in events})):
        tenant, _, user_id = key.partition("/")
        times = [begin_ms - 1, *sorted(rnd.randrange(begin_ms, end_ms) for _ in range(number % 3))]
        for change, ts in enumerate(times):
            found.append(
                Account(
                    event_id=f"a{change}",
                    tenant=tenant,
                    user_id=user_id,
                    ts=ts,
                    time_zone=ZONES[number % len(ZONES)],
                    consent=change != 1,
                    replay=events[0].replay,
                )
            )
    return found


def test_the_rules_hold_through_a_change_of_version_and_a_kill(engine: Engine, history: History) -> None:
    habits, until_ms = history("gated", 8, compose=True)
    events = sorted([*habits, *accounts(habits)], key=lambda event: event.ts)
    third = len(events) // 3
    strict, loose = (
        Rules(version=version, since=since, tenants={"gated": policy})
        for version, since, policy in (
            ("strict", events[0].ts, STRICT),
            ("loose", events[2 * third].ts, LOOSE),
        )
    )
    book = RuleBook((strict, loose))

    engine.rule(strict)
    send_all(engine, events[:third])
    engine.carry_on(events[third].ts - 2000)
    engine.rule(loose)
    send_all(engine, events[third : 2 * third])
    engine.fail()
    send_all(engine, events[2 * third :])
    engine.carry_on(until_ms)

    found = {one.id: one for one in settled(engine) if one.tenant == "gated"}
    assert_kept(found.values(), events, book)
    assert_one_version_each(found, book, until_ms)
    batch = recompute(map(encode, events), until_ms, book=book)
    assert {id: as_expected(one) for id, one in found.items()} == {one.id: one for one in batch.decisions}

    said = Counter(one.ruling.held_by for one in found.values() if one.ruling)
    assert all(said[rule] > 5 for rule in (HeldBy.CONSENT, HeldBy.FREQUENCY_CAP, HeldBy.QUIET_HOURS, None))
    sent = [one for one in found.values() if is_sent(one)]
    assert any(one.id.endswith("/again") for one in sent)
    assert {one.ruling.version for one in sent if one.ruling} == {"strict", "loose"}


@pytest.mark.real
def test_the_job_tells_how_many_versions_it_knows_and_how_certain_it_is(
    on_flink: OnFlink, history: History
) -> None:
    on_flink.rule(Rules(version="told"))
    events, _ = history("told", 1)
    send_all(on_flink, events[:1])
    on_flink.tick(events[0].ts)
    rest, end_s = Rest(on_flink.stack.settings.flink_port), time.monotonic() + 30
    while (known := rest.rules()) is None or known.versions == 0:
        assert time.monotonic() < end_s
        time.sleep(0.1)
    assert known.silent_s < 10
    (flink,) = [one for one in on_flink.stack.status() if one.name == "flink"]
    assert flink.problem is None
