"""The past decided again: the same under the same rules, and what other rules would have changed."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.window import PANE_MS
from schemas.codec import encode
from schemas.decision import Crossing, Decision, Timing
from schemas.events import Login
from schemas.policy import Cap, Policy, QuietHours, RuleBook, Rules
from schemas.vocabulary import HeldBy, Tier
from streams.flow import decision
from streams.memory import Memory
from streams.preview import SENT, Ended, counted, preview

DAY = 24
BEGIN_MS = 20_000 * DAY * PANE_MS
ACTIVE_DAYS = (*range(34), *range(42, 47), *range(58, 60))
LAST_DAY = 70
OPEN = Policy()
NIGHT = QuietHours(begin="20:00", end="09:00")
policies = st.builds(
    Policy,
    caps=st.lists(st.builds(Cap, scripts=st.integers(0, 3), days=st.integers(1, 31)), max_size=2).map(tuple),
    quiet_hours=st.sampled_from([None, NIGHT, QuietHours(begin="02:00", end="15:00")]),
    passes=st.sampled_from([{}, {Tier.CRITICAL: (HeldBy.QUIET_HOURS,), Tier.HIGH: (HeldBy.FREQUENCY_CAP,)}]),
    cooldown_days=st.integers(0, 10),
    holdout=st.sampled_from([0.0, 0.5]),
    dry_run=st.booleans(),
    time_zone=st.sampled_from(["UTC", "Asia/Shanghai"]),
)


def book(policy: Policy) -> RuleBook:
    return RuleBook([Rules(version="v", default=policy)])


def decided(policy: Policy, users: int = 3) -> tuple[list[Decision], int]:
    """Who was active, fell silent, came back, and so on; what was decided, and until when."""
    engine = Memory(book=book(policy))
    for day in range(LAST_DAY):
        for hour in range(DAY) if day in ACTIVE_DAYS else ():
            for user in range(users):
                if (hour + user) % 8:
                    continue
                engine.now_ms = BEGIN_MS + (day * DAY + hour) * PANE_MS
                login = Login(
                    event_id=f"{engine.now_ms}", tenant="acme", user_id=f"u{user}", ts=engine.now_ms
                )
                engine.send("events.login", login.key.encode(), encode(login))
        engine.now_ms = BEGIN_MS + (day + 1) * DAY * PANE_MS
        engine.tick(engine.now_ms)
    found = [msgspec.json.decode(one.value, type=Decision) for one in engine.published("decisions")]
    for record in engine.published("crossings"):  # nobody is there to word them
        one = msgspec.json.decode(record.value, type=Crossing)
        assert one.ruling is not None
        timing = Timing(detected_ms=0, published_ms=0)
        found.append(decision(one, one.ruling.held_by, reason=None, script=None, fallbacks={}, timing=timing))
    return found, engine.watermark_ms + 2


def changed(decisions: list[Decision], policy: Policy, until_ms: int) -> list[Ended]:
    return [one for one in preview(decisions, book(policy), 0, until_ms) if one.changes]


@settings(max_examples=20, deadline=None)
@given(policies)
def test_under_the_version_that_held_nothing_changes(policy: Policy) -> None:
    decisions, until_ms = decided(policy)
    found = preview(decisions, book(policy), 0, until_ms)
    assert len(found) > 10
    assert [one for one in found if one.changes] == []


@settings(max_examples=10, deadline=None)
@given(policies, policies)
def test_what_is_previewed_is_what_the_engine_decides_under_those_rules(held: Policy, other: Policy) -> None:
    """But for what is put off, of which the record cannot know whether the user's tier has changed."""
    held, other = (msgspec.structs.replace(one, quiet_hours=None) for one in (held, other))
    decisions, until_ms = decided(held)
    expected = {one.id: one.held_by or SENT for one in decided(other)[0]}
    assert {one.id: one.after.outcome for one in preview(decisions, book(other), 0, until_ms)} == expected


@pytest.fixture(scope="module")
def freely() -> tuple[list[Decision], int]:
    return decided(OPEN)


def test_a_cap_counts_what_the_new_rules_would_have_sent(freely: tuple[list[Decision], int]) -> None:
    decisions, until_ms = freely
    found = preview(decisions, book(Policy(caps=(Cap(scripts=1, days=31),))), 0, until_ms)
    for user in {one.user_id for one in found}:
        sent = [one.at for one in found if one.user_id == user and one.after.outcome == SENT]
        assert sent and all(
            later - earlier > 30 * DAY * PANE_MS for earlier, later in itertools.pairwise(sent)
        )
    assert {one.after.outcome for one in found if one.changes} == {HeldBy.FREQUENCY_CAP}


def test_what_is_put_off_is_decided_again_in_the_morning(freely: tuple[list[Decision], int]) -> None:
    later = [
        one for one in changed(freely[0], Policy(quiet_hours=NIGHT), freely[1]) if one.after.outcome == SENT
    ]
    assert later
    for one in later:
        assert one.before.at < one.after.at
        assert one.after.at // PANE_MS % DAY == 9


def test_counts_are_of_every_crossing_before_and_after(freely: tuple[list[Decision], int]) -> None:
    decisions, until_ms = freely
    found = preview([*decisions, *decisions], book(Policy(dry_run=True)), 0, until_ms)
    rows = counted(found)
    assert sum(before for *_, before, _ in rows) == sum(after for *_, after in rows) == len(decisions)
    assert {outcome for _, _, outcome, _, after in rows if after} == {HeldBy.DRY_RUN, HeldBy.RISE}


def test_crossings_outside_the_time_are_left_out(freely: tuple[list[Decision], int]) -> None:
    decisions, _ = freely
    times = sorted(one.at for one in decisions)
    found = preview(decisions, book(OPEN), times[2], times[-1])
    assert {one.at for one in found} <= {at for at in times if times[2] <= at < times[-1]}
