"""The batch answer: the decisions that a whole file of events must lead to, worked out all at once.

This is what the stream is checked against, so it shares none of its code: no window of bits, no
forecast, no timers. It lays out all panes of a user and evaluates every boundary, one after the other,
by the definitions in docs/semantics.md; `streams.batch_rules` does the same with the rules. Only the
vocabulary is common: parsing an event, and a decision's id.

Crossings of the risk's threshold are not among its decisions: they depend on a model, and on what Redis
held at the moment. Those that caps count can be given.

It takes every event as being in time. An event that came to the stream after the boundary of its pane
had been evaluated there may therefore lead to other decisions here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import md5
from itertools import pairwise

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.codec import accept, parse
from schemas.decision import Crossing, Ruling, decision_id
from schemas.errors import RejectedEvent
from schemas.events import Account, Event, Login, Replay, Tick, Usage
from schemas.policy import RuleBook
from schemas.vocabulary import TIERS, Cause, HeldBy, Outcome, Tier
from streams import batch_rules
from streams.tenants import Tenants

PANE_MS = 3_600_000
PHASE_STEP_MS = 878
RECENT_PANES, WINDOW_PANES = 168, 720
PRIOR_PANES = WINDOW_PANES - RECENT_PANES
ONBOARDING_PANES = 336
DUPLICATE_MS = 86_400_000
SEQUENCE_MS = 30 * 86_400_000


class ExpectedDecision(Struct, frozen=True, kw_only=True):
    """What is certain of a decision beforehand: all but its script and its timing.

    `at` is the boundary (epoch ms). `recent`, `prior`, `tenure` (panes) and `usual` (panes a week) are what
    `activity` (percent) was computed from.
    """

    id: str
    tenant: str
    user_id: str
    cause: Cause
    at: int
    from_tier: Tier
    to_tier: Tier
    activity: float
    recent: int
    prior: int
    usual: float
    tenure: int
    outcome: Outcome
    held_by: HeldBy | None
    ruling: Ruling

    @property
    def decided_at(self) -> int:
        """When (epoch ms, event time) it is decided: at its boundary, or when what put it off ends."""
        return self.ruling.standing.at


class Rejection(Struct, frozen=True, kw_only=True):
    """An event that does not count; `number` is its place in the input, from 1."""

    number: int
    field: str
    reason: str
    value: bytes


class Batch(Struct, frozen=True, kw_only=True):
    """The whole answer as of `until_ms`.

    `decisions` are in the order of (`decided_at`, `id`). `sequences` holds, by `tenant/user_id`, the events
    of (`until_ms` - 30 days, `until_ms`], oldest first and without their replay marks; users with none are
    left out.
    `tiers` is the tier of each user who has one at `until_ms`.
    """

    until_ms: int
    decisions: tuple[ExpectedDecision, ...]
    sequences: dict[str, tuple[Event, ...]]
    tiers: dict[str, Tier]
    rejected: tuple[Rejection, ...]
    accepted: int
    duplicates: int


def recompute(
    events: Iterable[bytes],
    until_ms: int,
    *,
    replay: Replay | None = None,
    append_ms: int | None = None,
    book: RuleBook | None = None,
    tenants: Tenants | None = None,
    counted: Mapping[str, Sequence[int]] | None = None,
) -> Batch:
    """Every decision that is made up to `until_ms` (epoch ms) and that `events` (JSON) lead to.

    `replay` is the mark that all events are sent with; without it each keeps its own. `append_ms`
    (epoch ms) is when the broker gets them: time bounds are checked against it, save in a replay. Events
    after `until_ms` and ticks are read and do not count. `book` holds the rules, `tenants` says who has a
    care script sent. `counted` are, by user, the times (epoch ms) of risk crossings that caps count.

    >>> from schemas.codec import encode
    >>> who = {"tenant": "acme", "user_id": "u1", "feature": "export"}
    >>> hours = [hour for hour in range(40 * 24) if hour % 24 < 3]
    >>> uses = [Usage(event_id=f"e{hour}", ts=hour * PANE_MS, **who) for hour in hours]
    >>> decisions = recompute(map(encode, uses), until_ms=50 * 24 * PANE_MS).decisions
    >>> [(d.to_tier.value, round(d.activity, 1)) for d in decisions[-4:]]
    [('low', 85.7), ('medium', 57.1), ('high', 28.6), ('critical', 9.5)]
    """
    intake = _Intake(until_ms, replay, append_ms)
    for number, value in enumerate(events, 1):
        intake.take(number, value)
    crossings: list[Crossing] = []
    tiers: dict[str, Tier] = {}
    for key, panes in intake.panes.items():
        phase = phase_ms(key)
        last_pane = pane_of(until_ms, phase) - 1  # the last whose boundary is not after until_ms
        walked = [_Life(life, last_pane) for life in _lives(np.array(sorted(panes), dtype=np.int64))]
        life = batch_rules.Life(
            key=key,
            phase_ms=phase,
            crossings=[crossing for one in walked for crossing in one.crossings(key, phase)],
            tiers=[since for one in walked for since in one.tiers(phase)],
            accounts=intake.accounts[key],
            replay=intake.marks.get(key),
            counted=(counted or {}).get(key, ()),
            care_on_rise=tenants is not None and tenants.of(key.partition("/")[0]).care_on_rise,
        )
        crossings += batch_rules.decide(life, book or RuleBook(), until_ms)
        if walked[-1].tier is not None:
            tiers[key] = walked[-1].tier
    return Batch(
        until_ms=until_ms,
        decisions=tuple(
            map(_expected, batch_rules.within_budget(crossings, book or RuleBook(), tenants or Tenants({})))
        ),
        sequences={
            key: tuple(sorted(of_user, key=lambda event: (event.ts, event.event_id)))
            for key, of_user in intake.sequences.items()
        },
        tiers=tiers,
        rejected=tuple(intake.rejected),
        accepted=intake.accepted,
        duplicates=intake.duplicates,
    )


def phase_ms(key: str) -> int:
    """By how much the panes of the user `key` begin after the full hour, in ms: 0 to 3,595,410.

    >>> phase_ms("acme/u1")
    994774
    """
    return PHASE_STEP_MS * int(md5(key.encode(), usedforsecurity=False).hexdigest()[:3], 16)


def pane_of(ts_ms: int, phase_ms: int) -> int:
    """The pane that the time `ts_ms` lies in."""
    return (ts_ms - phase_ms) // PANE_MS


def boundary_ms(pane: int, phase_ms: int) -> int:
    """The end of `pane`: the first ms that is no longer in it."""
    return phase_ms + (pane + 1) * PANE_MS


class _Intake:
    """What is kept of the events as they pass: panes, the last 30 days, and what was refused."""

    def __init__(self, until_ms: int, replay: Replay | None, append_ms: int | None) -> None:
        self._until_ms, self._replay, self._append_ms = until_ms, replay, append_ms
        self._accepted_ms: dict[tuple[str, str], int] = {}
        self.panes: dict[str, set[int]] = defaultdict(set)
        self.sequences: dict[str, list[Event]] = defaultdict(list)
        self.accounts: dict[str, list[Account]] = defaultdict(list)
        self.marks: dict[str, Replay] = {}
        self.rejected: list[Rejection] = []
        self.accepted = self.duplicates = 0

    def take(self, number: int, value: bytes) -> None:
        try:
            event = parse(value)
            if isinstance(event, Tick) or event.ts > self._until_ms:
                return
            if self._replay is None and self._append_ms is not None:
                accept(event.key.encode(), value, self._append_ms)
        except RejectedEvent as error:
            refusal = Rejection(number=number, field=error.field, reason=error.reason, value=value)
            self.rejected.append(refusal)
            return
        key = event.key
        # Of a copy this changes nothing, and what only has the id of another event is one of its own.
        if isinstance(event, Login | Usage):
            self.panes[key].add(pane_of(event.ts, phase_ms(key)))
        if isinstance(event, Account):
            self.accounts[key].append(event)
        if self._is_duplicate(event):
            self.duplicates += 1
            return
        self.accepted += 1
        mark = self._replay or event.replay
        if mark is not None:
            # The one that reaches furthest; of two, the one that sends nothing.
            marks = [mark, self.marks.get(key, mark)]
            self.marks[key] = max(marks, key=lambda one: (one.until, not one.compose))
        if event.ts > self._until_ms - SEQUENCE_MS:
            self.sequences[key].append(msgspec.structs.replace(event, replay=None))

    def _is_duplicate(self, event: Event) -> bool:
        name = (event.tenant, event.event_id)
        before_ms = self._accepted_ms.get(name)
        if before_ms is not None and abs(event.ts - before_ms) <= DUPLICATE_MS:
            return True
        self._accepted_ms[name] = event.ts
        return False


def _lives(panes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The user's active panes, parted where the user was forgotten in between.

    At pane p that is so when none of p-719 … p is active: 720 panes after an active pane, unless the
    720th is active itself.
    """
    yield from np.split(panes, np.flatnonzero(np.diff(panes) > WINDOW_PANES) + 1)


class _Life:
    """One user from the first active pane until forgotten: every boundary after onboarding, evaluated."""

    def __init__(self, panes: NDArray[np.int64], last_pane: int) -> None:
        self._first = int(panes[0])
        end = min(int(panes[-1]) + WINDOW_PANES - 1, last_pane)
        self.tier: Tier | None = None
        """The tier at `last_pane`; none during onboarding, or when forgotten by then."""
        self._ranks: list[tuple[int, int]] = []
        """At which evaluation the tier, as its rank, became which: the first one sets it silently."""
        self._forgotten = int(panes[-1]) + WINDOW_PANES
        panes_seen = max(0, end - self._first + 1)
        active = np.zeros(panes_seen, dtype=np.int64)
        active[panes[panes <= end] - self._first] = 1
        upto = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(active)))
        # One element for each evaluated pane p = first + tenure - 1; upto[n] counts the first n panes.
        self._tenure = np.arange(ONBOARDING_PANES, panes_seen + 1)
        before_recent = upto[self._tenure - RECENT_PANES]
        self._recent = upto[self._tenure] - before_recent
        self._prior = before_recent - upto[np.maximum(self._tenure - WINDOW_PANES, 0)]
        self._usual = np.maximum(
            1, self._prior * RECENT_PANES / np.minimum(PRIOR_PANES, self._tenure - RECENT_PANES)
        )
        self._activity = 100 * np.minimum(1, self._recent / self._usual)
        self._walk(forgotten=end < last_pane)

    def _walk(self, forgotten: bool) -> None:
        """Follow the tier from boundary to boundary."""
        if not len(self._tenure):
            return
        activity = self._activity
        # The tier of the table, as its rank, and the worst tier that this activity does not leave.
        of_table = sum(
            (activity <= 90, activity < 60, activity < 30, activity < 10), np.zeros(len(activity), int)
        )
        not_left = sum(
            (activity < 95, activity < 65, activity < 35, activity < 15), np.zeros(len(activity), int)
        )
        rank = int(of_table[0])
        self._ranks.append((0, rank))
        # Where neither differs from the boundary before, the tier stays what it became there.
        differs = (np.diff(of_table) != 0) | (np.diff(not_left) != 0)
        for i in (np.flatnonzero(differs) + 1).tolist():
            now = max(int(of_table[i]), min(rank, int(not_left[i])))
            if now != rank:
                self._ranks.append((i, now))
            rank = now
        self.tier = None if forgotten else TIERS[rank]

    def tiers(self, phase: int) -> Iterator[tuple[int, Tier | None]]:
        """When (epoch ms) the tier became which."""
        if not self._ranks:
            return
        for i, rank in self._ranks:
            yield self._at(i, phase), TIERS[rank]
        yield boundary_ms(self._forgotten, phase), None

    def crossings(self, key: str, phase: int) -> Iterator[Crossing]:
        """A crossing for each change of the tier."""
        tenant, _, user_id = key.partition("/")
        for (_, before), (i, after) in pairwise(self._ranks):
            cause = Cause.DECLINE if after > before else Cause.RISE
            at = self._at(i, phase)
            yield Crossing(
                id=decision_id(tenant, user_id, cause, at),
                tenant=tenant,
                user_id=user_id,
                cause=cause,
                at=at,
                from_tier=TIERS[before],
                to_tier=TIERS[after],
                activity=float(self._activity[i]),
                recent=int(self._recent[i]),
                prior=int(self._prior[i]),
                usual=float(self._usual[i]),
                tenure=int(self._tenure[i]),
            )

    def _at(self, i: int, phase: int) -> int:
        """The boundary (epoch ms) of the evaluation number `i`."""
        return boundary_ms(self._first + int(self._tenure[i]) - 1, phase)


def _expected(crossing: Crossing) -> ExpectedDecision:
    assert crossing.ruling is not None  # the rules have just been asked
    held_by = crossing.ruling.held_by
    return ExpectedDecision(
        id=crossing.id,
        tenant=crossing.tenant,
        user_id=crossing.user_id,
        cause=crossing.cause,
        at=crossing.at,
        from_tier=crossing.from_tier,
        to_tier=crossing.to_tier,
        activity=crossing.activity,
        recent=crossing.recent,
        prior=crossing.prior,
        usual=crossing.usual,
        tenure=crossing.tenure,
        outcome=Outcome.SENT if held_by is None else Outcome.HELD,
        held_by=held_by,
        ruling=crossing.ruling,
    )
