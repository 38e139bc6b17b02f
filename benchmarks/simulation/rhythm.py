"""When customers come, and what they do then: the events of a day.

A customer's chances of a day are their own: what becomes of one moves no event of another, and who comes more
often has the visits of who comes less often, and more.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy.stats import poisson

from benchmarks.simulation.chances import Keys, keyed, normal, uniform
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

_SESSIONS, _HOUR, _IS_ANYTIME, _ANYTIME, _LENGTH, _GAP, _DOES, _FEATURE = range(8)
"""What a chance is for."""
_COMPLAINTS = {Locale.EN: "The export fails again and again.", Locale.ZH: "导出功能总是失败。"}
_COMPLAINS = 0.15


def rates(customers: Customers, mood: Mood, weekend: bool, assumed: Assumed) -> Floats:
    """Sessions that each customer is to have on a day, on average."""
    felt = np.exp(assumed.activity * np.minimum(mood.satisfaction, 0.3))
    share = assumed.rhythm.weekend if weekend else 1.0
    return np.asarray(customers.rate * felt * share * mood.here, dtype=np.float64)


def session_times(sessions: Keys, starts_s: Floats, rhythm: Rhythm) -> tuple[Ints, Floats, Keys]:
    """The events of `sessions`, which begin at `starts_s`: of which each is, when (s), and its own key."""
    stays = np.log(uniform(sessions, _LENGTH)) / np.log(rhythm.stays)
    many = 1 + np.floor(stays).astype(np.int64)
    session = np.repeat(np.arange(len(sessions)), many)
    first = np.cumsum(many) - many
    events = keyed(sessions[session], np.arange(len(session)) - first[session])
    gaps = np.exp(rhythm.gap_mean + rhythm.gap_sd * normal(events, _GAP))
    reached = np.cumsum(np.minimum(gaps, _LONGEST_S))
    return session, starts_s[session] + reached - reached[first][session], events


def starts(sessions: Keys, hour: Floats, rhythm: Rhythm) -> Floats:
    """When (s of the customer's own day) each of `sessions` begins, about its `hour`."""
    usual = hour + rhythm.day_sd * normal(sessions, _HOUR)
    is_anytime = uniform(sessions, _IS_ANYTIME) < rhythm.anytime
    return np.where(is_anytime, uniform(sessions, _ANYTIME) * 24, usual) % 24 * 3600.0


def events_of(
    customers: Customers, mood: Mood, seed: int, day: int, begin_ms: int, replay: Replay, assumed: Assumed
) -> list[Event]:
    """What happens on the day that begins at `begin_ms`, in the order of time, all of it within the day."""
    at = datetime.fromtimestamp(begin_ms / 1000, UTC)
    own = keyed(seed, day, np.arange(customers.count))
    mean = rates(customers, mood, at.weekday() >= _SATURDAY, assumed)
    many = poisson.ppf(uniform(own, _SESSIONS), mean).astype(np.int64)
    who = np.repeat(np.arange(customers.count), many)
    sessions = keyed(own[who], np.arange(len(who)) - np.repeat(np.cumsum(many) - many, many))
    offsets = np.array(
        [(at.astimezone(zone(name)).utcoffset() or timedelta()).total_seconds() for name in ZONES]
    )
    begun = starts(sessions, customers.hour[who], assumed.rhythm) - offsets[customers.zone[who]]
    session, seconds, events = session_times(sessions, begun % 86_400, assumed.rhythm)
    chance = uniform(events, _DOES)
    feature = (uniform(events, _FEATURE) * len(_FEATURES)).astype(np.int64)
    found: list[Event] = []
    last, last_user, number = -1, -1, 0
    for event, (of, second) in enumerate(zip(session.tolist(), seconds.tolist(), strict=True)):
        user = int(who[of])
        begins, number = of != last, number + 1 if user == last_user else 0
        last, last_user = of, user
        if second >= 86_400:
            continue
        common: dict[str, Any] = {
            "event_id": f"s{seed}-{day}-{user}-{number}",
            "tenant": TENANT,
            "user_id": customers.ids[user],
            "ts": begin_ms + int(second * 1000),
            "replay": replay,
        }
        if begins:
            found.append(Login(**common))
        else:
            found.append(_done(customers, mood, user, chance[event], feature[event], common))
    found.sort(key=lambda one: (one.ts, one.event_id))
    return found


def _done(
    customers: Customers, mood: Mood, who: int, chance: float, feature: int, common: dict[str, Any]
) -> Event:
    """What a customer does in a session once they are in."""
    troubled = mood.need[who] == TROUBLE
    if troubled and chance < _COMPLAINS * 0.1:
        return Support(**common, text=_COMPLAINTS[customers.locale[who]])
    # Half of the uses are of the favourite feature, unless it is the one that disappoints.
    favourite = chance > 0.5 and mood.need[who] != FEATURE
    used = customers.favourite[who] if favourite else feature
    failed = chance < (0.3 if troubled else 0.01)
    return Usage(**common, feature=_FEATURES[used], duration_ms=30_000, outcome="error" if failed else "ok")


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
