"""What other rules would have made of the crossings that were decided: the past, decided again.

Each decision's record holds all that the rules depend on (`ruling.standing`). All of that is as it was, but
for one thing: the scripts that a user had before (`sent`) follow from the rules themselves, and are counted
anew as the user's decisions are walked through in their order. What the other rules put off is decided again
when that time is over; nothing was recorded of the user then, so what the last record before says holds.
What nobody can know is how a user would have answered to other scripts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

import msgspec
from msgspec import Struct

from operators.policy import SENT_MS, put_off, rule
from schemas.decision import AGAIN, Crossing, Decision, Ruling, Standing
from schemas.policy import RuleBook
from schemas.vocabulary import Cause, Tier
from streams.story import crossing_of

SENT = "sent"


class End(Struct, frozen=True, kw_only=True):
    """What became of a crossing: `sent`, or the rule that holds it, at last, and when (epoch ms).

    `allowed_at` is when it would have been allowed, or will be decided again where that is to come.
    """

    outcome: str
    at: int
    allowed_at: int | None = None


class Ended(Struct, frozen=True, kw_only=True):
    """A crossing, and what became of it under the rules that held and under the others."""

    id: str
    tenant: str
    user_id: str
    tier: Tier
    at: int
    before: End
    after: End

    @property
    def changes(self) -> bool:
        """Whether the other rules decide otherwise, or at another time."""
        return (self.before.outcome, self.before.at) != (self.after.outcome, self.after.at)


def preview(decisions: Iterable[Decision], book: RuleBook, from_ms: int, until_ms: int) -> list[Ended]:
    """What the rules in `book` make of the crossings decided from `from_ms` until just before `until_ms`.

    Those come in the order of time. Copies of a decision count once; those of a replay, and those without a
    ruling, which an older holdfast made, not at all.
    """
    users: defaultdict[str, dict[str, tuple[Decision, Ruling]]] = defaultdict(dict)
    for decision in decisions:
        ruling = decision.ruling
        if ruling is None or ruling.standing.in_replay or not from_ms <= ruling.standing.at < until_ms:
            continue
        users[f"{decision.tenant}/{decision.user_id}"].setdefault(decision.id, (decision, ruling))
    found = [ended for known in users.values() for ended in _Walk(known, book, until_ms).ended()]
    return sorted(found, key=lambda one: (one.at, one.id))


def counted(ended: Iterable[Ended]) -> list[tuple[str, Tier, str, int, int]]:
    """Tenant, tier, what became of them, and how many crossings that were before, and are after."""
    before: Counter[tuple[str, Tier, str]] = Counter()
    after: Counter[tuple[str, Tier, str]] = Counter()
    for one in ended:
        before[one.tenant, one.tier, one.before.outcome] += 1
        after[one.tenant, one.tier, one.after.outcome] += 1
    keys = sorted(before.keys() | after.keys(), key=lambda key: (key[0], key[1].rank, key[2]))
    return [(*key, before[key], after[key]) for key in keys]


class _Walk:
    """One user's decisions, in their order, decided again."""

    def __init__(self, known: dict[str, tuple[Decision, Ruling]], book: RuleBook, until_ms: int) -> None:
        self._known, self._book, self._until_ms = known, book, until_ms
        self._order = sorted(known.values(), key=lambda one: one[1].standing.at)
        self._heads = [
            one
            for one in self._order
            if not (_is_again(one[0].id) and one[0].id.removesuffix(AGAIN) in known)
        ]
        self._sent = self._order[0][1].standing.sent

    def ended(self) -> list[Ended]:
        """Each crossing, with its two ends."""
        moments = [
            (ruling.standing.at, _is_again(decision.id), place, crossing_of(decision), decision)
            for place, (decision, ruling) in enumerate(self._heads)
        ]
        heapify(moments)
        number, found = len(moments), []
        while moments:
            at_ms, _, _, crossing, head = heappop(moments)
            ruling = rule(self._book.at(at_ms), crossing, self._standing(crossing, at_ms))
            if ruling.is_counted:
                self._sent = (*(sent for sent in self._sent if sent > at_ms - SENT_MS), at_ms)
            if ruling.is_put_off and ruling.allowed_at is not None and ruling.allowed_at < self._until_ms:
                heappush(moments, (ruling.allowed_at, True, number, put_off(crossing), head))
                number += 1
                continue
            found.append(self._pair(head, ruling))
        return found

    def _standing(self, crossing: Crossing, at_ms: int) -> Standing:
        """What was recorded of the user at `at_ms`, or last before it."""
        own = self._known.get(crossing.id)
        if own is not None and own[1].standing.at == at_ms:
            return msgspec.structs.replace(own[1].standing, sent=self._sent)
        first, last = self._first(crossing), None
        for decision, ruling in self._order:
            if ruling.standing.at > at_ms:
                break
            last = decision, ruling.standing
        assert last is not None  # the crossing itself was decided before it was put off
        decision, standing = last
        return msgspec.structs.replace(
            standing,
            at=at_ms,
            sent=self._sent,
            rose_at=standing.at if decision.cause is Cause.RISE else standing.rose_at,
            cared_for=first.cared_for,
        )

    def _first(self, crossing: Crossing) -> Standing:
        """What was recorded when the crossing was decided for the first time."""
        name = crossing.id
        while name not in self._known or (_is_again(name) and name.removesuffix(AGAIN) in self._known):
            name = name.removesuffix(AGAIN)
        return self._known[name][1].standing

    def _pair(self, head: Decision, after: Ruling) -> Ended:
        name = head.id
        while name + AGAIN in self._known:
            name += AGAIN
        last, before = self._known[name]
        outcome = last.held_by or SENT
        # Whether a script can be worded, or an offer is left, the rules do not know: it is as it was.
        same = after.held_by or (outcome if before.held_by is None else SENT)
        return Ended(
            id=head.id,
            tenant=head.tenant,
            user_id=head.user_id,
            tier=head.to_tier,
            at=head.at,
            before=End(outcome=outcome, at=before.standing.at, allowed_at=before.allowed_at),
            after=End(outcome=same, at=after.standing.at, allowed_at=after.allowed_at),
        )


def _is_again(name: str) -> bool:
    return name.endswith(AGAIN)
