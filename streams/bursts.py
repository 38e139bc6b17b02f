"""Bursts of errors, seen in passing: the third use of one user that fails within ten minutes.

What is remembered is in memory alone. A restart forgets it: a burst around one may be missed, or a second
one be told within the hour. All times are event times, so it does not matter how late a batch comes.
"""

from collections.abc import Iterable

from schemas.events import Usage
from schemas.risk import Burst

FAILURES = 3
WITHIN_MS = 10 * 60_000
QUIET_MS = 3_600_000
"""For how long after a burst the same user's failures count for nothing."""
USERS = 100_000
"""Of how many users failures are remembered, those who failed last."""

_Seen = tuple[list[Usage], int]
"""A user's last failures, and the time of the last burst."""
_NOTHING: _Seen = ([], -QUIET_MS)


class Bursts:
    """Remembers the failures of users, and tells which make a burst.

    >>> bursts = Bursts()
    >>> failed = {"tenant": "acme", "user_id": "u1", "feature": "export", "outcome": "error"}
    >>> uses = [Usage(event_id=f"e{n}", ts=n * 60_000, **failed) for n in range(5)]
    >>> [burst.event_id for burst in bursts.told(uses)]
    ['e2']
    """

    def __init__(self, users: int = USERS) -> None:
        self._users = users
        self._seen: dict[str, _Seen] = {}  # who failed last is at the end

    def told(self, events: Iterable[object]) -> list[Burst]:
        """The bursts that end among `events` and whatever else. A replay of history has none, unless it
        composes.
        """
        failed = [
            event
            for event in events
            if type(event) is Usage
            and event.outcome == "error"
            and (event.replay is None or event.replay.compose)
        ]
        return [burst for use in failed if (burst := self._take(use)) is not None]

    def _take(self, use: Usage) -> Burst | None:
        key = use.key
        failures, told_ms = self._seen.get(key, _NOTHING)
        if use.ts < told_ms + QUIET_MS:
            return None
        by_time = {(one.ts, one.event_id): one for one in (*failures, use)}
        failures = [by_time[place] for place in sorted(by_time)][-FAILURES:]
        last = failures[-1]
        is_burst = len(failures) == FAILURES and last.ts - failures[0].ts <= WITHIN_MS
        self._seen.pop(key, None)
        self._seen[key] = ([], last.ts) if is_burst else (failures, told_ms)
        if len(self._seen) > self._users:
            del self._seen[next(iter(self._seen))]
        if not is_burst:
            return None
        return Burst(
            event_id=last.event_id,
            tenant=last.tenant,
            user_id=last.user_id,
            ts=last.ts,
            failures=tuple(failures),
        )
