"""A burst: the third failure within ten minutes, not again within the hour, whatever the batches."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Login, Replay, Usage
from streams.bursts import QUIET_MS, WITHIN_MS, Bursts

T = 1_700_000_000_000
MINUTE_MS = 60_000


def failed(ts: int, user: str = "u1", **changes: object) -> Usage:
    fields = {"event_id": f"e{ts}", "tenant": "acme", "user_id": user, "feature": "export"}
    return Usage(**{**fields, "ts": T + ts, "outcome": "error", **changes})  # type: ignore[arg-type]  # as stated


def told(*uses: Usage) -> list[int]:
    """The times of the bursts, where each use is a batch of its own."""
    bursts = Bursts()
    return [burst.ts - T for use in uses for burst in bursts.told([use])]


def test_the_third_failure_within_ten_minutes_is_told_with_its_identity() -> None:
    uses = [failed(0), failed(MINUTE_MS), failed(WITHIN_MS, event_id="third")]
    (burst,) = Bursts().told(uses)
    assert (burst.event_id, burst.key, burst.ts) == ("third", "acme/u1", T + WITHIN_MS)
    assert burst.failures == tuple(uses)


def test_it_has_the_failures_oldest_first_however_they_came() -> None:
    (burst,) = Bursts().told([failed(2), failed(0), failed(1)])
    assert [use.ts - T for use in burst.failures] == [0, 1, 2]


def test_it_does_not_matter_how_batches_part_them() -> None:
    assert told(failed(0), failed(1), failed(2)) == [2]


@pytest.mark.parametrize(
    "uses",
    [
        [failed(0), failed(1), failed(WITHIN_MS + 1)],
        [failed(0), failed(1), failed(2, "u2")],
        [failed(0), failed(1), failed(2, tenant="other")],
        [failed(0), failed(1), failed(2, outcome="ok")],
        [failed(0), failed(1), failed(1)],
        [failed(0), failed(1), failed(2, replay=Replay(until=T + 5))],
    ],
    ids=["too slow", "another user", "another tenant", "one went well", "a copy", "history"],
)
def test_no_burst(uses: list[Usage]) -> None:
    assert told(*uses) == []


def test_a_replay_that_composes_has_bursts() -> None:
    replay = Replay(until=T + 5, compose=True)
    assert told(*(failed(n, replay=replay) for n in range(3))) == [2]


def test_other_events_are_passed_over() -> None:
    login = Login(event_id="e", tenant="acme", user_id="u1", ts=T)
    assert Bursts().told([login, failed(0), login, failed(1), failed(2)])


@given(st.lists(st.integers(0, 5 * QUIET_MS // MINUTE_MS), min_size=1, max_size=80), st.randoms())
def test_never_twice_within_the_hour(minutes: list[int], rnd: random.Random) -> None:
    found = told(*(failed(minute * MINUTE_MS + rnd.randrange(1000)) for minute in minutes))
    assert all(later - earlier >= QUIET_MS for earlier, later in itertools.pairwise(found))


def test_after_an_hour_it_is_told_again() -> None:
    uses = [failed(minute * MINUTE_MS) for minute in range(70)]
    assert told(*uses) == [2 * MINUTE_MS, 64 * MINUTE_MS]


def test_of_too_many_users_those_who_failed_last_are_remembered() -> None:
    bursts = Bursts(users=2)
    assert not bursts.told([failed(0, "u1"), failed(1, "u1"), failed(2, "u2"), failed(3, "u2")])
    assert not bursts.told([failed(4, "u3"), failed(5, "u1")]), "u1 was forgotten"
    assert not bursts.told([failed(6, "u3")])
    assert [burst.user_id for burst in bursts.told([failed(7, "u3")])] == ["u3"]
