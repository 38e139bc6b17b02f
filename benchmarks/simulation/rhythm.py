"""When customers come, and what they do then: the events of a day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from benchmarks.simulation.customers import FEATURE, TROUBLE, Customers, Floats, Ints, Mood
from benchmarks.simulation.parameters import PLANS, TENANT, ZONES, Assumed, Rhythm
from operators.calendar import zone
from schemas.events import Account, Event, Login, Replay, Support, Usage
from schemas.vocabulary import Locale

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
_FEATURES = ("dashboard", "export", "report", "search", "share", "import", "automation", "api")
_SATURDAY = 5
_LONGEST_S = 1800.0
"""A longer pause ends a session, here as everywhere in holdfast."""

_COMPLAINTS = {Locale.EN: "The export fails again and again.", Locale.ZH: "导出功能总是失败。"}
_COMPLAINS = 0.15


def rates(customers: Customers, mood: Mood, weekend: bool, assumed: Assumed) -> Floats:
    """Sessions that each customer is to have on a day, on average."""
    felt = np.exp(assumed.activity * np.minimum(mood.satisfaction, 0.3))
    share = assumed.rhythm.weekend if weekend else 1.0
    return np.asarray(customers.rate * felt * share * mood.here, dtype=np.float64)


def session_times(dice: np.random.Generator, starts_s: Floats, rhythm: Rhythm) -> tuple[Ints, Floats]:
    """The events of sessions that begin at `starts_s`: of which session each is, and when (s)."""
    many = dice.geometric(1 - rhythm.stays, len(starts_s))
    session = np.repeat(np.arange(len(starts_s)), many)
    gaps = np.minimum(dice.lognormal(rhythm.gap_mean, rhythm.gap_sd, len(session)), _LONGEST_S)
    reached = np.cumsum(gaps)
    first = np.cumsum(many) - many
    return session, starts_s[session] + reached - reached[first][session]


def starts(dice: np.random.Generator, who: Ints, hour: Floats, rhythm: Rhythm) -> Floats:
    """When (s of the customer's own day) a session of each of `who` begins."""
    usual = dice.normal(hour[who], rhythm.day_sd)
    anytime = dice.random(len(who)) < rhythm.anytime
    return np.asarray(np.where(anytime, dice.random(len(who)) * 24, usual) % 24 * 3600.0)


def events_of(
    customers: Customers, mood: Mood, seed: int, day: int, begin_ms: int, replay: Replay, assumed: Assumed
) -> list[Event]:
    """What happens on the day that begins at `begin_ms`, in the order of time, all of it within the day."""
    dice = np.random.default_rng([seed, 3, day])
    weekend = datetime.fromtimestamp(begin_ms / 1000, UTC).weekday() >= _SATURDAY
    many = dice.poisson(rates(customers, mood, weekend, assumed))
    who = np.repeat(np.arange(customers.count), many)
    at = datetime.fromtimestamp(begin_ms / 1000, UTC)
    offsets = np.array(
        [(at.astimezone(zone(name)).utcoffset() or timedelta()).total_seconds() for name in ZONES]
    )
    begun = (starts(dice, who, customers.hour, assumed.rhythm) - offsets[customers.zone[who]]) % 86_400
    session, seconds = session_times(dice, begun, assumed.rhythm)
    chance, feature = dice.random(len(session)), dice.integers(0, len(_FEATURES), len(session))
    found: list[Event] = []
    last = -1
    for number, (of, second) in enumerate(zip(session.tolist(), seconds.tolist(), strict=True)):
        begins, last = of != last, of
        if second >= 86_400:
            continue
        user = int(who[of])
        common: dict[str, Any] = {
            "event_id": f"s{seed}-{day}-{number}",
            "tenant": TENANT,
            "user_id": customers.ids[user],
            "ts": begin_ms + int(second * 1000),
            "replay": replay,
        }
        if begins:
            found.append(Login(**common))
            continue
        troubled = mood.need[user] == TROUBLE
        if troubled and chance[number] < _COMPLAINS * 0.1:
            found.append(Support(**common, text=_COMPLAINTS[customers.locale[user]]))
            continue
        # Half of the uses are of the favourite feature, unless it is the one that disappoints.
        favourite = chance[number] > 0.5 and mood.need[user] != FEATURE
        used = customers.favourite[user] if favourite else feature[number]
        failed = chance[number] < (0.3 if troubled else 0.01)
        found.append(
            Usage(**common, feature=_FEATURES[used], duration_ms=30_000, outcome="error" if failed else "ok")
        )
    found.sort(key=lambda event: (event.ts, event.event_id))
    return found


def account_of(customers: Customers, who: int, ts: int, replay: Replay, consent: bool = True) -> Account:
    """The account record of a customer."""
    return Account(
        event_id=f"a-{customers.ids[who]}-{ts}",
        tenant=TENANT,
        user_id=customers.ids[who],
        ts=ts,
        replay=replay,
        plan=PLANS[customers.plan[who]],
        locale=customers.locale[who].value,
        time_zone=ZONES[customers.zone[who]],
        consent=consent,
    )
