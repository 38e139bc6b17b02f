"""What came out of a run: each decision of the measured part once, and the figures that follow from them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.stalls import Stall
from schemas.decision import Decision
from schemas.vocabulary import Cause, HeldBy, Rung
from streams.consumer import Record
from streams.telemetry import Latencies, Latency, Publications
from streams.traffic import Plan

_decoder = msgspec.json.Decoder(Decision)


class Taken(Struct, frozen=True):
    """A decision, and when (epoch ms) the broker appended it first."""

    decision: Decision
    append_ms: int

    @property
    def took_ms(self) -> float:
        """From detection to publication."""
        return self.append_ms - self.decision.timing.detected_ms

    @property
    def boundary_ms(self) -> float:
        """From the boundary, which was certain beforehand, to publication: all delays are in it."""
        return self.append_ms - self.decision.at


class Figures(Struct, frozen=True, kw_only=True):
    """Of some decisions: both latencies, and the share of drafts among the scripts that were sent."""

    published: Latency
    boundary: Latency
    from_draft: float


class Second(Struct, frozen=True, kw_only=True):
    """The crossings whose boundary lies in one second, `at_s` after the begin of what is measured."""

    at_s: int
    count: int
    p50_ms: float
    p99_ms: float
    boundary_p50_ms: float
    boundary_p99_ms: float


class Agreement(Struct, frozen=True, kw_only=True):
    """The crossings that were planned for the measured part, and the decisions that were found."""

    expected: int
    found: int
    missing: int
    different: int
    """Decisions that no plan knows, or that have other tiers than planned."""

    @property
    def equal(self) -> bool:
        """Whether each planned decision was published as planned, and no other."""
        return not self.missing and not self.different


class Tally:
    """Collects the decisions."""

    def __init__(self) -> None:
        self.taken: dict[str, Taken] = {}

    def take(self, record: Record, is_measured: Callable[[float], bool]) -> None:
        """A record of the topic `decisions`, if `is_measured` says so of its boundary.

        Crossings of the risk's threshold are left out: nobody planned them, and no draft is written for them.
        """
        if record.value is None:
            return
        decision = _decoder.decode(record.value)
        if decision.id in self.taken or decision.held_by is HeldBy.REPLAY or not is_measured(decision.at):
            return
        if decision.cause is Cause.RISK:
            return
        self.taken[decision.id] = Taken(decision, record.append_ms)

    def publications(self) -> Publications:
        """Detection to publication, in total, by rung and by step."""
        publications = Publications()
        for one in self.taken.values():
            publications.record(one.decision, one.append_ms)
        return publications

    def boundary(self) -> Latencies:
        """Boundary to publication."""
        return _latencies(one.boundary_ms for one in self.taken.values())

    def within(self, budget_ms: float) -> float:
        """The share of the decisions that took no longer."""
        return sum(one.took_ms <= budget_ms for one in self.taken.values()) / max(1, len(self.taken))

    def stalled(self, budget_ms: float, stalls: Sequence[Stall]) -> int:
        """How many of the decisions that took longer were under way while the machine stood still."""
        return sum(
            any(stall.meets(one.decision.timing.detected_ms, one.append_ms) for stall in stalls)
            for one in self.taken.values()
            if one.took_ms > budget_ms
        )

    def agreement(self, plans: Iterable[Plan]) -> Agreement:
        """Compare with `plans`, those of the measured part."""
        planned = Counter((plan.key, plan.at, plan.from_tier, plan.to_tier) for plan in plans)
        found = Counter(
            (
                f"{one.decision.tenant}/{one.decision.user_id}",
                one.decision.at,
                one.decision.from_tier,
                one.decision.to_tier,
            )
            for one in self.taken.values()
        )
        there = {(user, at) for user, at, _, _ in found}
        return Agreement(
            expected=planned.total(),
            found=found.total(),
            missing=sum((user, at) not in there for user, at, _, _ in planned),
            different=(found - planned).total(),
        )

    def apart(self, tenant: str, disturbed_ms: tuple[float, float] | None) -> dict[str, dict[str, Figures]]:
        """The phases of `tenant`, and those of all others."""
        groups = {"noisy": Tally(), "others": Tally()}
        for id, one in self.taken.items():
            groups["noisy" if one.decision.tenant == tenant else "others"].taken[id] = one
        return {name: group.phases(disturbed_ms) for name, group in groups.items()}

    def phases(self, disturbed_ms: tuple[float, float] | None) -> dict[str, Figures]:
        """The figures before, during and after the time (epoch ms) in which something was different."""
        if disturbed_ms is None:
            return {}
        begin_ms, end_ms = disturbed_ms
        phases: Mapping[str, list[Taken]] = {"before": [], "during": [], "after": []}
        for one in self.taken.values():
            at = one.decision.at
            phases["before" if at < begin_ms else "during" if at < end_ms else "after"].append(one)
        return {name: _figures(some) for name, some in phases.items()}

    def by_second(self, begin_ms: float) -> list[Second]:
        """The latencies over time, from `begin_ms` (epoch ms) on."""
        seconds: dict[int, list[Taken]] = defaultdict(list)
        for one in self.taken.values():
            seconds[int((one.decision.at - begin_ms) // 1000)].append(one)
        return [_second(at_s, seconds[at_s]) for at_s in sorted(seconds)]


def _second(at_s: int, some: list[Taken]) -> Second:
    p50_ms, p99_ms = np.percentile([one.took_ms for one in some], (50, 99))
    boundary_p50_ms, boundary_p99_ms = np.percentile([one.boundary_ms for one in some], (50, 99))
    return Second(
        at_s=at_s,
        count=len(some),
        p50_ms=float(p50_ms),
        p99_ms=float(p99_ms),
        boundary_p50_ms=float(boundary_p50_ms),
        boundary_p99_ms=float(boundary_p99_ms),
    )


def _figures(some: list[Taken]) -> Figures:
    scripts = [one.decision.script for one in some if one.decision.script is not None]
    return Figures(
        published=_latencies(one.took_ms for one in some).summary(),
        boundary=_latencies(one.boundary_ms for one in some).summary(),
        from_draft=sum(script.rung is Rung.DRAFT for script in scripts) / max(1, len(scripts)),
    )


def _latencies(times_ms: Iterable[float]) -> Latencies:
    latencies = Latencies()
    for ms in times_ms:
        latencies.record(ms)
    return latencies
