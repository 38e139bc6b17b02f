"""`python -m benchmarks simulate-calibrate`: the rhythm of a log, and how near the simulated one comes."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.simulation.chances import keyed
from benchmarks.simulation.customers import Flags, Floats, Ints
from benchmarks.simulation.parameters import Rhythm
from benchmarks.simulation.rhythm import session_times, starts
from schemas.errors import InputError
from streams.commands.output import AsJson, out, print_json
from streams.risk.log import read_log

_SESSION_S, _DAY_S, _HOUR_S = 1800.0, 86_400.0, 3600.0
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_FEWEST_EVENTS, _FEWEST_DAYS = 100, 30
_MINUTE_S = 60.0
_SATURDAY, _EPOCH_WEEKDAY = 5, 3  # 1970-01-01 was a Thursday


class Comparison(Struct, frozen=True, kw_only=True):
    """A quantity in the log and simulated: quantiles, and the Kolmogorov-Smirnov distance, 0 to 1."""

    quantity: str
    log: list[float]
    simulated: list[float]
    ks: float


class Calibration(Struct, frozen=True, kw_only=True):
    """The fitted rhythm, what it was fitted to, and how near it comes."""

    users: int
    events: int
    rhythm: Rhythm
    quantiles: tuple[float, ...] = _QUANTILES
    compared: list[Comparison]


def simulate_calibrate(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A chat's log: ts, seq, user, in Parquet.")],
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated events.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Fit gaps, sessions and hours to a log, and compare what is simulated from the fit with it.

    Users with 100 events or more over 30 days or more count, each from their first day to their last.

    Example: python -m benchmarks simulate-calibrate whatwg_irc_events.parquet --json | jq .rhythm
    """
    found = calibrate(log, seed)
    if as_json:
        print_json(found)
        return
    rhythm = ", ".join(f"{name} {getattr(found.rhythm, name):.3g}" for name in Rhythm.__struct_fields__)
    out.print(f"{found.users:,} users, {found.events:,} events: {rhythm}", soft_wrap=True)
    table = Table("quantity", "of", *(f"{share:.0%}" for share in _QUANTILES), "KS")
    for one in found.compared:
        table.add_row(one.quantity, "log", *(f"{value:,.4g}" for value in one.log), f"{one.ks:.3f}")
        table.add_row("", "simulated", *(f"{value:,.4g}" for value in one.simulated), "")
    out.print(table)


def calibrate(log: Path, seed: int = 1) -> Calibration:
    """The rhythm of `log` and the comparison.

    Raises:
        InputError: the log cannot be read, or no user in it has enough events.
    """
    found = read_log(log)
    seconds, user = found.sequence.ts_ms / 1000, found.user
    keep = _regular(seconds, user)
    seconds, user = seconds[keep], user[keep]
    if not len(user):
        raise InputError(f"{log} has no user with {_FEWEST_EVENTS} events over {_FEWEST_DAYS} days")
    rhythm, rate, hour, first, last = _fitted(seconds, user)
    made_s, made_user = _simulated(np.random.default_rng(seed), rhythm, rate, hour, first, last)
    if np.all(seconds % _MINUTE_S == 0):
        made_s = made_s // _MINUTE_S * _MINUTE_S  # as coarse as the log
    ours, theirs = _quantities(made_s, made_user), _quantities(seconds, user)
    compared = [
        Comparison(
            quantity=name,
            log=[float(v) for v in np.quantile(theirs[name], _QUANTILES)],
            simulated=[float(v) for v in np.quantile(ours[name], _QUANTILES)],
            ks=distance(theirs[name], ours[name]),
        )
        for name in theirs
    ]
    return Calibration(users=len(rate), events=len(user), rhythm=rhythm, compared=compared)


def distance(one: Floats, other: Floats) -> float:
    """The Kolmogorov-Smirnov distance: the greatest between the two distribution functions.

    >>> distance(np.array([1.0, 2.0]), np.array([1.0, 2.0])), distance(np.zeros(3), np.ones(3))
    (0.0, 1.0)
    """
    at = np.union1d(one, other)
    of_one = np.searchsorted(np.sort(one), at, side="right") / len(one)
    of_other = np.searchsorted(np.sort(other), at, side="right") / len(other)
    return float(np.abs(of_one - of_other).max())


def _regular(seconds: Floats, user: Ints) -> Flags:
    _, number, count = np.unique(user, return_inverse=True, return_counts=True)
    first, last = _ends(seconds, number, len(count))
    regular = (count >= _FEWEST_EVENTS) & (last - first >= _FEWEST_DAYS * _DAY_S)
    return np.asarray(regular[number])


def _ends(seconds: Floats, number: Ints, many: int) -> tuple[Floats, Floats]:
    first, last = np.full(many, np.inf), np.zeros(many)
    np.minimum.at(first, number, seconds)
    np.maximum.at(last, number, seconds)
    return first, last


def _begins(seconds: Floats, user: Ints) -> Flags:
    """Which events, in the order of user and time, begin a session."""
    begins = np.ones(len(user), dtype=bool)
    begins[1:] = (user[1:] != user[:-1]) | (np.diff(seconds) > _SESSION_S)
    return begins


def _fitted(seconds: Floats, user: Ints) -> tuple[Rhythm, Floats, Floats, Floats, Floats]:
    """The rhythm, and of each user the sessions a day, the own hour (UTC), the first and the last day (s)."""
    _, number = np.unique(user, return_inverse=True)
    many = int(number.max()) + 1
    begins = _begins(seconds, user)
    gaps = np.diff(seconds)[~begins[1:]]
    logs = np.log(np.maximum(gaps, 1.0))
    first, last = _ends(seconds, number, many)
    first, last = first // _DAY_S * _DAY_S, (last // _DAY_S + 1) * _DAY_S
    rate = np.bincount(number[begins], minlength=many) / ((last - first) / _DAY_S)
    angle = seconds[begins] % _DAY_S / _DAY_S * 2 * np.pi
    mean = np.bincount(number[begins], np.cos(angle), many) + 1j * np.bincount(
        number[begins], np.sin(angle), many
    )
    hour = np.angle(mean) % (2 * np.pi) / (2 * np.pi) * 24
    away = np.abs((seconds[begins] / _HOUR_S - hour[number[begins]] + 12) % 24 - 12)
    # Beyond 9 hours from the own hour nearly all is of any time; 3/12 of any time is there.
    anytime = min(0.9, float(np.mean(away > 9.0)) * 4)
    variance = max(1.0, (float(np.mean(away**2)) - anytime * 48.0) / (1 - anytime))
    days = np.floor(seconds[begins] / _DAY_S)
    at_weekend = (days + _EPOCH_WEEKDAY) % 7 >= _SATURDAY
    rhythm = Rhythm(
        gap_mean=float(logs.mean()),
        gap_sd=float(logs.std()),
        stays=1 - float(begins.mean()),
        rate_mean=float(np.log(rate).mean()),
        rate_sd=float(np.log(rate).std()),
        day_sd=float(np.sqrt(variance)),
        anytime=anytime,
        weekend=float(at_weekend.sum() / 2 / ((~at_weekend).sum() / 5)),
    )
    return rhythm, rate, hour, first, last


def _simulated(
    dice: np.random.Generator, rhythm: Rhythm, rate: Floats, hour: Floats, first: Floats, last: Floats
) -> tuple[Floats, Ints]:
    """Events of as many users over as many days, whose rates are drawn from the fit."""
    rate = np.exp(dice.normal(rhythm.rate_mean, rhythm.rate_sd, len(rate)))
    days = ((last - first) / _DAY_S).astype(np.int64)
    who = np.repeat(np.arange(len(rate)), days)
    day_s = first[who] + (np.arange(len(who)) - np.repeat(np.cumsum(days) - days, days)) * _DAY_S
    is_weekend = (day_s / _DAY_S + _EPOCH_WEEKDAY) % 7 >= _SATURDAY
    per_day = rate[who] * np.where(is_weekend, rhythm.weekend, 1.0) * 7 / (5 + 2 * rhythm.weekend)
    many = dice.poisson(per_day)
    of, day_s = np.repeat(who, many), np.repeat(day_s, many)
    sessions = keyed(int(dice.integers(2**32)), np.arange(len(of)))
    session, seconds, _ = session_times(sessions, day_s + starts(sessions, hour[of], rhythm), rhythm)
    user = of[session]
    order = np.lexsort((seconds, user))
    return seconds[order], user[order]


def _quantities(seconds: Floats, user: Ints) -> dict[str, Floats]:
    begins = _begins(seconds, user)
    same = user[1:] == user[:-1]
    gaps = np.diff(seconds)[same]
    size = np.diff(np.append(np.flatnonzero(begins), len(begins)))
    per_day = np.unique(np.stack([user[begins], seconds[begins] // _DAY_S]), axis=1, return_counts=True)[1]
    hours = np.unique(np.stack([user, seconds // _HOUR_S]), axis=1)
    weeks = np.unique(np.stack([hours[0], hours[1] // 168]), axis=1, return_counts=True)[1]
    return {
        "gap, s": gaps,
        "gap within a session, s": gaps[gaps <= _SESSION_S],
        "events of a session": size.astype(np.float64),
        "sessions of an active day": per_day.astype(np.float64),
        "active hours of an active week": weeks.astype(np.float64),
    }
