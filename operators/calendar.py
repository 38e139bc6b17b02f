"""The user's own clock and calendar: days, quiet hours, and how they fall on the nights when clocks change.

Times are epoch ms. A local time that a clock skips counts as the instant of the skip; one that comes twice
counts as quiet both times.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.policy import Cap, QuietHours

MINUTE_MS = 60_000
_LONGEST_NIGHT = 26 * 60
"""Minutes. No quiet hours last a day, nor a day more than 25 hours."""


@lru_cache(maxsize=1024)
def zone(name: str | None, otherwise: str = "UTC") -> ZoneInfo:
    """The time zone of that name in the IANA data base; where there is none, the other.

    >>> zone("Asia/Shanghai").key, zone("Mars/Olympus", "Europe/Berlin").key, zone(None).key
    ('Asia/Shanghai', 'Europe/Berlin', 'UTC')
    """
    for candidate in (name, otherwise):
        try:
            return ZoneInfo(candidate or "")
        except (KeyError, OSError, ValueError):  # not found, a folder, or no name at all
            continue
    return ZoneInfo("UTC")


def day_of(at_ms: int, where: ZoneInfo) -> date:
    """The user's date at `at_ms`."""
    return datetime.fromtimestamp(at_ms / 1000, where).date()


def midnight_ms(day: date, where: ZoneInfo, after_ms: int = -1) -> int:
    """When `day` begins for the user; for the second time, where `after_ms` lies between the two.

    That is so where the clock is put back from just after midnight to just before.

    >>> berlin = zone("Europe/Berlin")
    >>> nights = [midnight_ms(date(2024, month, day), berlin) for month, day in ((3, 30), (3, 31), (4, 1))]
    >>> [(after - before) // 3_600_000 for before, after in zip(nights, nights[1:])]
    [24, 23]
    """
    first = datetime.combine(day, time(), where)
    ms = round(first.timestamp() * 1000)
    return ms if ms > after_ms else round(first.replace(fold=1).timestamp() * 1000)


def capped_until(at_ms: int, cap: Cap, sent_ms: Iterable[int], where: ZoneInfo) -> int | None:
    """The first midnight after `at_ms` at which `cap` allows a script again; `at_ms` where it does so now.

    `sent_ms` are the times of scripts that were sent. One that the user's clock shows on a later day than
    now (it was put back, or the script was that of a risk a moment ahead) counts as well. None where the cap
    allows none ever.

    >>> cap, noon = Cap(scripts=1, days=2), 12 * 3_600_000
    >>> capped_until(noon, cap, [], zone("UTC")) == noon
    True
    >>> capped_until(noon, cap, [noon - 1], zone("UTC")) // 86_400_000
    2
    """
    if not cap.scripts:
        return None
    days = sorted(day_of(sent, where) for sent in sent_ms)
    if len(days) < cap.scripts:
        return at_ms
    free = days[-cap.scripts] + timedelta(days=cap.days)
    return at_ms if free <= day_of(at_ms, where) else midnight_ms(free, where, at_ms)


def is_quiet(at_ms: int, quiet: QuietHours, where: ZoneInfo) -> bool:
    """Whether the user's clock shows a time within the quiet hours at `at_ms`.

    >>> night = QuietHours(begin="21:00", end="08:00")
    >>> [is_quiet(hour * 3_600_000, night, zone("UTC")) for hour in (7, 8, 20, 21)]
    [True, False, False, True]
    """
    at = datetime.fromtimestamp(at_ms // MINUTE_MS * 60, where)
    clock = f"{at.hour:02}:{at.minute:02}"
    if quiet.begin < quiet.end:
        return quiet.begin <= clock < quiet.end
    return clock >= quiet.begin or clock < quiet.end


def allowed_ms(at_ms: int, quiet: QuietHours, where: ZoneInfo) -> int:
    """`at_ms` where it is not quiet then, else the first minute after it that is not.

    >>> night = QuietHours(begin="21:00", end="08:00")
    >>> berlin, spring = zone("Europe/Berlin"), datetime(2024, 3, 30, 23, tzinfo=zone("Europe/Berlin"))
    >>> str(datetime.fromtimestamp(allowed_ms(int(spring.timestamp() * 1000), night, berlin) / 1000, berlin))
    '2024-03-31 08:00:00+02:00'
    """
    return _allowed_ms(at_ms // MINUTE_MS, quiet, where) if is_quiet(at_ms, quiet, where) else at_ms


@lru_cache(maxsize=4096)
def _allowed_ms(minute: int, quiet: QuietHours, where: ZoneInfo) -> int:
    """The same from a minute that is quiet: minute by minute, which is right on every night."""
    for ahead in range(1, _LONGEST_NIGHT):
        at_ms = (minute + ahead) * MINUTE_MS
        if not is_quiet(at_ms, quiet, where):
            return at_ms
    raise AssertionError("quiet hours end within a day")


def told(at_ms: int) -> str:
    """A time for a person to read, UTC.

    >>> told(0)
    '1970-01-01 00:00 UTC'
    """
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
