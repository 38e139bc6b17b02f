"""A load shaped like real logs: many users, each at a pace of their own, in bursts and with long silences.

The logarithm of the gaps between a user's events (ln s, over all events) is normal with mean 7.4 and
deviation 2.7, as measured on real logs. Users differ in their mean by a normal of deviation
`BETWEEN_USERS_SD`; what is left of 2.7² is the spread within each user. A user counts among the events as
often as they make some, which shifts a log-normal and keeps its spread: so the gaps of all are log-normal
again, and the share of the most active 1 % is Φ(BETWEEN_USERS_SD - 2.326), about half. With 30 minutes of
silence as their end, a user's sessions on a day with any come to three on average; no parameter says so, it
follows from the gaps.

At that pace one user makes an event every 17 hours, and thousands of events a second would need hundreds of
millions of users. So time is scaled: every gap is divided by `Background.factor`, and the rate is met.

They are users in the background: none has a history, so all are onboarding and cross no bound.
"""

import heapq
from collections.abc import Iterator
from itertools import count
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from operators.window import PANE_MS, phase_ms
from schemas.topics import LOGIN, SUPPORT, USAGE
from streams.producer import partition_of
from streams.traffic import TENANT

LOG_GAP_MEAN, LOG_GAP_SD = 7.4, 2.7
BETWEEN_USERS_SD = NormalDist().inv_cdf(0.99)
DAY_S = 86_400.0
STEP_S = 0.02
"""Events go out together with those of the same 20 ms, as from a client that lingers."""
LATE_S = 2.0, 3600.0
"""How late what is late comes, at least and at most; its logarithm is uniform."""
REPEATED_AFTER_S = 5.0
"""How long after the first copy a duplicate comes, on average."""

_STEPS_DRAWN = 10
_SUPPORT_SHARE, _LOGIN_SHARE, _ERROR_SHARE = 0.0005, 0.0995, 0.01
"""One event in 2,000 is a message to customer service: half a million a day of a billion events."""
_FEATURES = ("dashboard", "export", "report", "search", "share", "import", "automation", "api")
_LONGEST_MS = 600_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Surge(Struct, frozen=True, kw_only=True):
    """From `from_s` to `to_s` after the start the rate is `factor` times what it is otherwise.

    With `of_first` the others of several tenants go on as before: all that is more is the first one's.
    """

    from_s: float
    to_s: float
    factor: float
    of_first: bool = False


class Shape(Struct, frozen=True, kw_only=True):
    """The load: how many users, how many records a second, for how long, and how uneven.

    `day_night` is the rate at noon over that at midnight, `day_s` how long a day takes, and `midnight_s` when
    one begins, in s after the start. `late` and `duplicates` are shares of the records, `hot` is that of one
    single user. The users are of the `tenants` in turn.
    """

    users: int
    rate_per_s: float
    seconds: float
    seed: int = 1
    day_night: float = 1.0
    day_s: float = DAY_S
    midnight_s: float = 0.0
    surge: Surge | None = None
    late: float = 0.01
    duplicates: float = 0.001
    hot: float = 0.0
    tenants: tuple[str, ...] = (TENANT,)


class Record(NamedTuple):
    """An event as it goes out."""

    topic: str
    partition: int
    key: bytes
    value: bytes


class Step(NamedTuple):
    """What is sent together: the records, and the times (s after the start) at which each was to go out."""

    due_s: float
    records: list[Record]
    intended_s: list[float]


class Crowd:
    """The pace of each user: the mean of ln gap (s), the deviation within a user, and events a second.

    The users' means are quantiles, so that a small crowd is heavy-tailed too; what its tail lacks is made up
    for, so that mean and deviation over all events are exact.
    """

    def __init__(self, users: int, random: np.random.Generator) -> None:
        normal = NormalDist(0, BETWEEN_USERS_SD)
        spread = np.array([normal.inv_cdf((i + 0.5) / users) for i in range(users)])
        share = np.exp(-spread) / np.exp(-spread).sum()
        centre = float(share @ spread)
        between = float(share @ (spread - centre) ** 2)
        self.log_gap: Floats = random.permutation(spread) - centre + LOG_GAP_MEAN
        self.within_sd = float(np.sqrt(LOG_GAP_SD**2 - between))
        self.per_s: Floats = np.exp(-self.log_gap - self.within_sd**2 / 2)


class Background:
    """All events of `shape`, the same for the same seed; `start_ms` (epoch ms) is when they begin.

    `factor` is by how much the users' time is compressed; `new_panes` counts the hours of users that the
    steps so far have made active, each of which costs the stream far more than a further event in it.
    """

    def __init__(self, shape: Shape, start_ms: int) -> None:
        self._shape, self._start_ms = shape, start_ms
        self._random = random = np.random.default_rng(shape.seed)
        crowd = Crowd(shape.users, random)
        originals_per_s = shape.rate_per_s / (1 + shape.duplicates)
        self.factor = originals_per_s / float(crowd.per_s.sum())
        self._log_gap, self._within_sd = crowd.log_gap - np.log(self.factor), crowd.within_sd
        # The users have been there for ever: the gap that the start falls into is a long one, and half over.
        self._next = random.random(shape.users) * self._gaps(np.arange(shape.users), crowd.within_sd**2)
        self._names = _Names(shape.seed, shape.tenants, shape.users + 1)
        self._phases = np.array([phase_ms(key.decode()) for _, key, _ in self._names.users])
        self._active: set[int] = set()
        self._numbers = 0
        self._times = np.arange(round(shape.seconds / STEP_S) + 1) * STEP_S
        self._done = np.concatenate(([0.0], np.cumsum(STEP_S * _relative_rate(shape, self._times[:-1]))))

    @property
    def new_panes(self) -> int:
        """Users' hours that became active so far."""
        return len(self._active)

    def steps(self) -> Iterator[Step]:
        """The load in steps of 10 ms."""
        repeats: list[tuple[float, int, Record]] = []
        order = count()
        for first in range(0, len(self._times) - 1, _STEPS_DRAWN):
            ends = self._times[first + 1 : first + 1 + _STEPS_DRAWN]
            times, records = self._drawn(float(self._done[first + len(ends)]))
            again = self._random.random(len(records)) < self._shape.duplicates
            for i in np.flatnonzero(again).tolist():
                wait_s = self._random.exponential(REPEATED_AFTER_S)
                heapq.heappush(repeats, (times[i] + wait_s, next(order), records[i]))
            begin = 0
            for end_s, end in zip(ends.tolist(), np.searchsorted(times, ends).tolist(), strict=True):
                step = Step(end_s, records[begin:end], times[begin:end])
                while repeats and repeats[0][0] < end_s:
                    due_s, _, record = heapq.heappop(repeats)
                    step.intended_s.append(due_s)
                    step.records.append(record)
                yield step
                begin = end

    def draw(self, until: float) -> tuple[Floats, Ints]:
        """The times (s of an even rate, up to `until`) and users of the next events, in the order of time."""
        times, users = [np.empty(0)], [np.empty(0, dtype=np.int64)]
        due = np.flatnonzero(self._next < until)
        while len(due):
            times.append(self._next[due])
            users.append(due)
            self._next[due] += self._gaps(due)
            due = due[self._next[due] < until]
        every = np.concatenate(times)
        order = np.argsort(every, kind="stable")
        return every[order], np.concatenate(users)[order]

    def _gaps(self, users: Ints, shift: float = 0.0) -> Floats:
        noise = self._random.standard_normal(len(users))
        gaps: Floats = np.exp(self._log_gap[users] + shift + self._within_sd * noise)
        return gaps

    def _drawn(self, until: float) -> tuple[list[float], list[Record]]:
        random, shape = self._random, self._shape
        even, users = self.draw(until)
        # Passing from the time of an even rate to that of the clock is all that makes days and surges.
        times = np.interp(even, self._done, self._times)
        users = np.where(random.random(len(users)) < shape.hot, shape.users, users)
        if shape.surge is not None and shape.surge.of_first:
            surge = shape.surge
            in_surge = (times >= surge.from_s) & (times < surge.to_s)
            more = in_surge & (random.random(len(users)) >= 1 / surge.factor)
            users = np.where(more, users - users % len(shape.tenants), users)
        least, most = np.log(LATE_S)
        late_s = np.exp(random.uniform(least, most, len(users)))
        late_s[random.random(len(users)) >= shape.late] = 0
        ts = self._start_ms + ((times - late_s) * 1000).astype(np.int64)
        panes = (ts - self._phases[users]) // PANE_MS
        self._active.update((panes * (shape.users + 1) + users).tolist())
        return times.tolist(), self._encoded(users, ts)

    def _encoded(self, users: Ints, ts: Ints) -> list[Record]:
        """Bytes straight from templates: a record of the schema for each would cost more than its sending."""
        random, names, size = self._random, self._names, len(users)
        chance = random.random(size)
        kinds = random.integers(len(_FEATURES), size=size) + len(_FEATURES) * (
            random.random(size) < _ERROR_SHARE
        )
        kinds[chance < _SUPPORT_SHARE + _LOGIN_SHARE] = names.login
        kinds[chance < _SUPPORT_SHARE] = names.support
        took_ms = random.integers(500, _LONGEST_MS, size=size)
        columns = (users.tolist(), ts.tolist(), kinds.tolist(), took_ms.tolist())
        records, number = [], self._numbers
        for user, at, kind, took in zip(*columns, strict=True):
            topic, template = names.templates[kind]
            tenant, key, partition = names.users[user]
            fields = (number, tenant, user, at, took) if kind < names.login else (number, tenant, user, at)
            records.append(Record(topic, partition, key, template % fields))
            number += 1
        self._numbers = number
        return records


class _Names:
    """How users, events and their kinds are spelt in the run of `seed`."""

    login, support = 2 * len(_FEATURES), 2 * len(_FEATURES) + 1

    def __init__(self, seed: int, tenants: tuple[str, ...], users: int) -> None:
        keys = [f"{tenants[user % len(tenants)]}/b{seed}-{user}".encode() for user in range(users)]
        self.users = [(key.partition(b"/")[0], key, partition_of(key)) for key in keys]
        """Of each user the tenant, the key (`tenant/user_id`) and its partition."""
        head = f'"event_id":"b{seed}-%d","tenant":"%b","user_id":"b{seed}-%d","ts":%d'
        used = '{"kind":"usage",' + head + ',"feature":"FEATURE","duration_ms":%d,"outcome":"OUTCOME"}'
        self.templates = [
            *(
                (USAGE.name, used.replace("FEATURE", feature).replace("OUTCOME", outcome).encode())
                for outcome in ("ok", "error")
                for feature in _FEATURES
            ),
            (LOGIN.name, ('{"kind":"login",' + head + ',"channel":"web","action":"login"}').encode()),
            (
                SUPPORT.name,
                ('{"kind":"support",' + head + ',"text":"Where is the export?","lang":"en"}').encode(),
            ),
        ]


def _relative_rate(shape: Shape, times: Floats) -> Floats:
    """The rate at each time over `rate_per_s`, whose mean over a day without a surge is 1."""
    swing = (shape.day_night - 1) / (shape.day_night + 1)
    rate: Floats = 1 - swing * np.cos(2 * np.pi * (times - shape.midnight_s) / shape.day_s)
    if shape.surge is not None:
        rate[(times >= shape.surge.from_s) & (times < shape.surge.to_s)] *= shape.surge.factor
    return rate
