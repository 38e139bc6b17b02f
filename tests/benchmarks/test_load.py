"""The load has the shape of real logs, and every record of it is an event that the stream accepts."""

from collections import Counter

import numpy as np
import pytest
from msgspec.structs import replace

from benchmarks.load import LOG_GAP_MEAN, LOG_GAP_SD, STEP_S, Background, Crowd, Shape, Surge
from schemas.codec import accept
from schemas.events import Tick
from schemas.topics import TOPIC_OF_KIND
from streams.producer import partition_of

START_MS = 1_764_014_400_000
SHAPE = Shape(users=2000, rate_per_s=1000, seconds=30)


def times_s(shape: Shape) -> np.ndarray:
    """When the records of `shape` go out."""
    return np.array([at for step in Background(shape, START_MS).steps() for at in step.intended_s])


def natural(users: int, events: int) -> tuple[np.ndarray, np.ndarray]:
    """The times (s, as the users feel them) and users of about so many events in a row."""
    background = Background(Shape(users=users, rate_per_s=1000, seconds=1), START_MS)
    times, who = background.draw(events / 1000)
    return times * background.factor, who


def test_every_record_is_an_event_that_the_stream_accepts() -> None:
    ids = Counter[str]()
    for step in Background(replace(SHAPE, duplicates=0), START_MS).steps():
        for record in step.records:
            event = accept(record.key, record.value, START_MS + int(step.due_s * 1000))
            assert not isinstance(event, Tick)
            assert record.key == event.key.encode() and record.partition == partition_of(record.key)
            assert record.topic == TOPIC_OF_KIND[str(type(event).__struct_config__.tag)].name
            ids[event.event_id] += 1
    assert max(ids.values()) == 1
    assert len(ids) == pytest.approx(30_000, rel=0.1)


def test_the_seed_says_everything() -> None:
    first, again = (list(Background(SHAPE, START_MS).steps()) for _ in range(2))
    assert first == again
    assert first != list(Background(replace(SHAPE, seed=2), START_MS).steps())


def test_a_step_holds_what_is_intended_for_it() -> None:
    for number, step in enumerate(Background(SHAPE, START_MS).steps()):
        assert len(step.intended_s) == len(step.records)
        begin_s, end_s = number * STEP_S - 1e-9, (number + 1) * STEP_S + 1e-9
        assert all(begin_s <= at < end_s for at in step.intended_s)


def test_the_logarithm_of_the_gaps_is_normal_with_the_mean_and_deviation_of_real_logs() -> None:
    times, users = natural(users=5000, events=1_000_000)
    order = np.lexsort((times, users))
    same = np.diff(users[order]) == 0
    gaps = np.log(np.diff(times[order])[same])
    # Gaps that are as long as all of the observation are missing: both figures come out a little low.
    assert gaps.mean() == pytest.approx(LOG_GAP_MEAN, abs=0.15)
    assert gaps.std() == pytest.approx(LOG_GAP_SD, abs=0.15)
    skew = ((gaps - gaps.mean()) ** 3).mean() / gaps.std() ** 3
    assert abs(skew) < 0.25


def test_the_most_active_hundredth_makes_about_half_of_the_events() -> None:
    rates = np.sort(Crowd(100_000, np.random.default_rng(1)).per_s)
    assert rates[-1000:].sum() / rates.sum() == pytest.approx(0.5, abs=0.02)
    _, users = natural(users=10_000, events=300_000)
    made = np.sort(np.bincount(users, minlength=10_000))
    assert made[-100:].sum() / made.sum() == pytest.approx(0.5, abs=0.06)


def test_a_user_has_two_to_six_sessions_on_a_day_with_any() -> None:
    times, users = natural(users=5000, events=300_000)
    order = np.lexsort((times, users))
    times, users = times[order], users[order]
    begins = np.diff(times, prepend=-np.inf) > 1800
    begins[1:] |= np.diff(users) != 0
    days = users * 10_000 + (times // 86_400).astype(int)
    sessions = Counter(days[begins].tolist())
    assert 2 < np.mean(list(sessions.values())) < 6


def test_the_rate_is_met_and_does_not_depend_on_the_number_of_users() -> None:
    for users in (500, 20_000):
        shape = replace(SHAPE, users=users, seconds=60)
        assert len(times_s(shape)) == pytest.approx(60_000, rel=0.1)
    few, many = (Background(replace(SHAPE, users=users), START_MS).factor for users in (1000, 10_000))
    assert few == pytest.approx(10 * many, rel=0.3)


@pytest.mark.parametrize("ratio", [3.0, 25.0])
def test_noon_has_as_many_times_the_events_of_midnight_as_asked_for(ratio: float) -> None:
    shape = replace(SHAPE, rate_per_s=5000, seconds=40, day_s=40, day_night=ratio)
    by_second = np.bincount(times_s(shape).astype(int), minlength=40)
    found = by_second[18:22].sum() / (by_second[:2].sum() + by_second[38:].sum())
    # Of the cosine's two ends a tenth of the day is seen, and not the very peak alone.
    swing = (ratio - 1) / (ratio + 1) * np.sinc(0.1)
    assert found == pytest.approx((1 + swing) / (1 - swing), rel=0.25)
    assert by_second.sum() == pytest.approx(200_000, rel=0.05)


def test_a_surge_multiplies_the_rate_while_it_lasts() -> None:
    shape = replace(SHAPE, seconds=30, surge=Surge(from_s=10, to_s=20, factor=3))
    by_second = np.bincount(times_s(shape).astype(int), minlength=30)
    assert by_second[10:20].sum() / by_second[:10].sum() == pytest.approx(3, rel=0.15)


def test_late_events_and_duplicates_have_their_shares() -> None:
    shape = replace(SHAPE, seconds=60, late=0.05, duplicates=0.02)
    late, values = 0, Counter[bytes]()
    for step in Background(shape, START_MS).steps():
        for at_s, record in zip(step.intended_s, step.records, strict=True):
            values[record.value] += 1
            if values[record.value] == 1:
                event = accept(record.key, record.value, START_MS + int(at_s * 1000))
                behind_ms = START_MS + at_s * 1000 - event.ts
                assert behind_ms < 2 or 2000 <= behind_ms <= 3_600_002
                late += behind_ms >= 2000
    assert late / len(values) == pytest.approx(0.05, rel=0.1)
    repeated = sum(times > 1 for times in values.values())
    assert repeated / len(values) == pytest.approx(0.02, rel=0.2)
    assert max(values.values()) == 2


def test_one_user_can_be_hot() -> None:
    keys = Counter(
        record.key
        for step in Background(replace(SHAPE, hot=1 / 3), START_MS).steps()
        for record in step.records
    )
    (_, first), (_, second) = keys.most_common(2)
    assert first / keys.total() == pytest.approx(1 / 3, rel=0.05)
    assert second < first / 3


def test_active_hours_of_users_are_counted() -> None:
    background = Background(SHAPE, START_MS)
    users = {record.key for step in background.steps() for record in step.records}
    assert len(users) <= background.new_panes < 1.5 * len(users)


def test_in_a_surge_of_the_first_tenant_the_others_go_on_as_before() -> None:
    surge = Surge(from_s=10, to_s=20, factor=2.8, of_first=True)
    tenants = ("a", "b", "c", "d", "e")
    shape = replace(SHAPE, users=20_000, rate_per_s=3000, tenants=tenants, surge=surge)
    counts = Counter[tuple[bool, bool]]()
    for step in Background(shape, START_MS).steps():
        for record in step.records:
            counts[record.key.startswith(b"a/"), 10 < step.due_s <= 20] += 1
    others, all_of_it = counts[False, True], counts[False, True] + counts[True, True]
    assert others / counts[False, False] == pytest.approx(1 / 2, rel=0.1), "10 s beside 20 s"
    assert all_of_it / (counts[False, False] + counts[True, False]) == pytest.approx(2.8 / 2, rel=0.1)
