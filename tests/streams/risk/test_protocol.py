"""Who is judged when: cut-offs around holes, windows that end before the label begins, labels to the ms."""

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.signals import DAY_MS, NAMES, Sequence
from schemas.errors import InputError
from streams.datasets import Answers
from streams.risk.log import Accounts, Log, signals_at
from streams.risk.protocol import HOUR_MS, Task, answered, cutoffs, sample

DAYS_LONG = 100
NOISE = np.arange(DAYS_LONG + 1) * DAY_MS
"""Somebody is there each day, so that the log has no holes."""


def log_of(*users: NDArray[np.int64] | list[int]) -> Log:
    """A log of uses, by the times (ms) of each user."""
    times = [np.sort(np.asarray(user, dtype=np.int64)) for user in users]
    ts_ms = np.concatenate(times)
    many = len(ts_ms)
    sequence = Sequence(
        ts_ms=ts_ms,
        kind=np.full(many, 2, dtype=np.int8),
        feature=np.zeros(many, dtype=np.int32),
        duration_ms=np.zeros(many, dtype=np.int64),
        failed=np.zeros(many, dtype=np.bool_),
        sentiment=np.full(many, np.nan, dtype=np.float32),
    )
    names = np.array([f"u{number}" for number in range(len(users))], dtype=np.object_)
    return Log(names, np.cumsum([0, *map(len, times)]), sequence)


def test_cut_offs_are_midnights_a_week_apart_with_whole_windows_before_and_after() -> None:
    found = cutoffs(log_of(NOISE))
    assert (found.tau_ms // DAY_MS).tolist() == [33, 40, 47, 54, 61, 68]
    assert not len(found.dropped_ms)


def test_a_hole_of_three_days_drops_every_cut_off_whose_windows_hold_it() -> None:
    hole = NOISE[(NOISE < 10 * DAY_MS) | (NOISE >= 13 * DAY_MS)]
    found = cutoffs(log_of(hole))
    assert (found.dropped_ms // DAY_MS).tolist() == [33, 40]
    two_days = NOISE[(NOISE < 10 * DAY_MS) | (NOISE >= 12 * DAY_MS)]
    assert not len(cutoffs(log_of(two_days)).dropped_ms)


def test_a_hole_in_the_label_counts_too() -> None:
    hole = NOISE[(NOISE < 70 * DAY_MS) | (NOISE >= 73 * DAY_MS)]
    assert (cutoffs(log_of(hole)).tau_ms // DAY_MS).tolist() == [33, 40]


def test_a_short_log_and_one_full_of_holes_are_refused() -> None:
    with pytest.raises(InputError, match="too short: it spans 31 days"):
        cutoffs(log_of(NOISE[:31]))
    with pytest.raises(InputError, match="too many holes: all 6 cut-offs"):
        cutoffs(log_of(NOISE[::2]))


TAU = 40 * DAY_MS


@pytest.mark.parametrize(
    ("after_ms", "churned"),
    [(0, True), (1, False), (30 * DAY_MS, False), (30 * DAY_MS + 1, True)],
)
def test_who_has_no_event_in_the_thirty_days_after_has_churned(after_ms: int, churned: bool) -> None:
    # What happens in the lead time counts neither for the signals nor for the label.
    found = sample(log_of([30 * DAY_MS, TAU + after_ms]), np.array([TAU]))
    assert found.churned.tolist() == [churned]


@pytest.mark.parametrize(("before_ms", "judged"), [(1, False), (0, True), (-30 * DAY_MS, False)])
def test_only_who_was_active_in_the_window_is_judged(before_ms: int, judged: bool) -> None:
    window_end = TAU - 72 * HOUR_MS
    found = sample(log_of([window_end + before_ms, 90 * DAY_MS]), np.array([TAU]))
    assert len(found.tau_ms) == int(judged)
    assert (found.cuts.as_of_ms == window_end).all()


@pytest.mark.parametrize(
    ("days_ago", "hard"),
    [
        ([0.5, 8, 20], True),
        ([0.5, 0.6, 20], False),  # two days
        ([8, 15, 20], False),  # not in the last seven
        ([6.99, 15, 20], True),
        ([7.0, 15, 20], False),
    ],
)
def test_the_hard_task_asks_for_those_who_seem_to_be_well(days_ago: list[float], hard: bool) -> None:
    window_end = TAU - 72 * HOUR_MS
    log = log_of([window_end - int(days * DAY_MS) for days in days_ago])
    found = sample(log, np.array([TAU]))
    assert found.is_hard.tolist() == [hard]
    assert len(found.of(Task.HARD).tau_ms) == int(hard)
    assert len(found.of(Task.BROAD).tau_ms) == 1


def answers_of(*rows: tuple[str, int, bool]) -> Answers:
    user, tau_ms, left = zip(*rows, strict=True)
    return Answers(np.array(user, dtype=np.object_), np.array(tau_ms), np.array(left))


def test_answers_say_who_is_judged_and_who_left_active_or_not() -> None:
    silent, busy = [DAY_MS], [TAU - days * DAY_MS for days in (4, 5, 6)]
    log = log_of(NOISE, silent, busy, [TAU - DAY_MS])
    found = answered(
        log,
        answers_of(
            ("u1", TAU, True),
            ("u2", TAU, False),
            ("u3", TAU, True),
            ("u9", TAU, True),
            ("u1", TAU + 1, False),
        ),
    )
    # u3 is known since a day only, u9 not at all.
    assert log.users[found.cuts.user].tolist() == ["u1", "u2", "u1"]
    assert found.churned.tolist() == [True, False, False]
    assert found.is_hard.tolist() == [False, True, False]
    assert (found.tau_ms - found.cuts.as_of_ms == 72 * HOUR_MS).all()


def test_who_has_an_account_and_no_event_yet_is_judged_and_not_before_it() -> None:
    account = Accounts(np.array([1]), np.array([TAU - 4 * DAY_MS]), np.array([0.0]), np.array([1.0]))
    log = log_of(NOISE, [])._replace(accounts=account)
    found = answered(log, answers_of(("u1", TAU, True), ("u1", TAU - 2 * DAY_MS, True)))
    assert found.tau_ms.tolist() == [TAU]
    assert signals_at(log, found.cuts)[:, NAMES.index("tenure")].tolist() == [1.0]


def test_an_answer_behind_a_hole_is_left_out_and_where_none_is_left_that_is_said() -> None:
    log = log_of(NOISE[(NOISE < 10 * DAY_MS) | (NOISE >= 13 * DAY_MS)])
    found = answered(log, answers_of(("u0", TAU, True), ("u0", 50 * DAY_MS, True)))
    assert found.tau_ms.tolist() == [50 * DAY_MS]
    with pytest.raises(InputError, match="the log tells of nobody who has an answer"):
        answered(log, answers_of(("u0", TAU, True)))


def test_the_lead_moves_the_window_and_not_the_label() -> None:
    log = log_of([TAU - HOUR_MS, TAU - 40 * DAY_MS])
    assert len(sample(log, np.array([TAU]), lead_h=0).tau_ms) == 1
    assert len(sample(log, np.array([TAU]), lead_h=24).tau_ms) == 0
