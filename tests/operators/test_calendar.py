"""Days and quiet hours on the user's clock, the nights on which clocks change above all."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.calendar import allowed_ms, capped_until, day_of, is_quiet, midnight_ms, zone
from schemas.policy import Cap, QuietHours
from tests.rules import DAY_MS, HOUR_MS, NIGHTS, ZONES, caps, quiet_hours

MINUTE_MS = 60_000
places = st.sampled_from(ZONES).map(zone)
times = st.builds(
    lambda night, hours, ms: night + hours * HOUR_MS + ms,
    st.sampled_from(NIGHTS),
    st.integers(-48, 48),
    st.integers(0, HOUR_MS - 1) | st.sampled_from([0, MINUTE_MS - 1, MINUTE_MS, 30 * MINUTE_MS]),
)


def at(name: str, text: str, fold: int = 0) -> int:
    """The epoch ms of a local time; `fold` 1 for the second of two."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone(name), fold=fold).timestamp() * 1000)


def shown(at_ms: int, name: str) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, zone(name)):%Y-%m-%d %H:%M}"


@given(times, quiet_hours, places)
def test_what_is_put_off_waits_for_the_first_minute_that_is_not_quiet(
    at_ms: int, quiet: QuietHours, where: ZoneInfo
) -> None:
    allowed = allowed_ms(at_ms, quiet, where)
    assert allowed >= at_ms
    assert not is_quiet(allowed, quiet, where)
    if allowed > at_ms:
        assert allowed % MINUTE_MS == 0
    for quiet_ms in range(at_ms, allowed, MINUTE_MS):
        assert is_quiet(quiet_ms, quiet, where)


@pytest.mark.parametrize(
    ("name", "quiet", "crossed", "allowed"),
    [
        # Berlin's clock goes from 02:00 to 03:00: an end within the hour that is skipped is the skip.
        ("Europe/Berlin", ("21:00", "02:30"), "2024-03-31 01:59", "2024-03-31 03:00"),
        ("Europe/Berlin", ("02:30", "02:45"), "2024-03-31 03:00", "2024-03-31 03:00"),
        # Lord Howe's goes from 02:00 to 02:30.
        ("Australia/Lord_Howe", ("21:00", "02:15"), "2024-10-06 01:59", "2024-10-06 02:30"),
        ("Australia/Lord_Howe", ("21:00", "08:00"), "2024-10-06 01:00", "2024-10-06 08:00"),
        # São Paulo's and Beirut's go from 00:00 to 01:00.
        ("America/Sao_Paulo", ("22:00", "00:30"), "2018-11-03 23:10", "2018-11-04 01:00"),
        ("Asia/Beirut", ("22:00", "00:00"), "2024-03-30 23:59", "2024-03-31 01:00"),
    ],
)
def test_an_end_within_a_time_that_is_skipped_is_the_skip(
    name: str, quiet: tuple[str, str], crossed: str, allowed: str
) -> None:
    hours = QuietHours(begin=quiet[0], end=quiet[1])
    assert shown(allowed_ms(at(name, crossed), hours, zone(name)), name) == allowed


def test_a_time_that_comes_twice_is_quiet_both_times() -> None:
    night = QuietHours(begin="02:15", end="02:45")
    for fold in (0, 1):
        crossed = at("Europe/Berlin", "2024-10-27 02:20", fold)
        assert allowed_ms(crossed, night, zone("Europe/Berlin")) == crossed + 25 * MINUTE_MS
        before = at("Europe/Berlin", "2024-10-27 02:10", fold)
        assert allowed_ms(before, night, zone("Europe/Berlin")) == before


@given(times, caps, places, st.lists(st.integers(-40 * DAY_MS, DAY_MS), max_size=6))
def test_a_cap_allows_again_at_the_first_instant_of_a_day_and_not_before(
    at_ms: int, cap: Cap, where: ZoneInfo, ago_ms: list[int]
) -> None:
    sent = [at_ms + ago for ago in ago_ms]
    until = capped_until(at_ms, cap, sent, where)
    if cap.scripts == 0:
        assert until is None
        return
    assert until is not None and until >= at_ms

    def counted(now_ms: int) -> int:
        oldest = day_of(now_ms, where) - timedelta(days=cap.days - 1)
        return sum(day_of(one, where) >= oldest for one in sent)

    assert counted(until) < cap.scripts
    if until > at_ms:
        assert counted(until - 1) >= cap.scripts and counted(at_ms) >= cap.scripts


def test_a_day_begins_where_the_clock_skips_its_midnight() -> None:
    assert shown(midnight_ms(date(2018, 11, 4), zone("America/Sao_Paulo")), "America/Sao_Paulo") == (
        "2018-11-04 01:00"
    )
    assert shown(midnight_ms(date(2024, 3, 31), zone("Asia/Beirut")), "Asia/Beirut") == "2024-03-31 01:00"
    # A day that never was begins with the one after it.
    apia = zone("Pacific/Apia")
    assert midnight_ms(date(2011, 12, 30), apia) == midnight_ms(date(2011, 12, 31), apia)


def test_after_a_clock_was_put_back_over_midnight_the_day_begins_a_second_time() -> None:
    """At 00:01 it went back to 23:01: what is capped then is not allowed at a midnight that has been."""
    where, once = zone("America/St_Johns"), Cap(scripts=1)
    now = at("America/St_Johns", "2005-10-29 23:30", fold=1)
    until = capped_until(now, once, [now - 2 * HOUR_MS], where)
    assert until == now + 30 * MINUTE_MS


def test_a_script_that_the_clock_shows_on_a_later_day_counts() -> None:
    """A risk is decided as soon as its event comes, a second before event time: it may be of tomorrow."""
    midnight = at("Europe/Berlin", "2024-05-02 00:00")
    until = capped_until(midnight - 100, Cap(scripts=1), [midnight + 500], zone("Europe/Berlin"))
    assert until == at("Europe/Berlin", "2024-05-03 00:00")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "zone.tab", "a\0b", None])
def test_a_zone_that_nobody_knows_is_the_tenants_and_else_utc(name: str | None) -> None:
    assert zone(name, "Asia/Tokyo").key == "Asia/Tokyo"
    assert zone(name, "Mars/Olympus").key == "UTC"
