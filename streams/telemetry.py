"""How long decisions took, from detection to publication: what the budget is about."""

from hdrh.histogram import HdrHistogram
from msgspec import Struct

from schemas.decision import Decision

_HIGHEST_US = 3_600_000_000
_DIGITS = 3


class Latency(Struct, frozen=True, kw_only=True):
    """A distribution of times, in ms; all 0 where nothing was counted."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Latencies:
    """Collects times to three digits, in memory that does not grow.

    >>> times = Latencies()
    >>> for ms in range(1, 101):
    ...     times.record(ms)
    >>> round(times.summary().p50_ms), times.summary().count
    (50, 100)
    """

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _HIGHEST_US, _DIGITS)

    def record(self, ms: float, times: int = 1) -> None:
        """Count a time; clocks are read to the millisecond, so one just below 0 counts as 0."""
        self._histogram.record_value(min(_HIGHEST_US, max(0, round(ms * 1000))), times)

    def encoded(self) -> str:
        """All of it (in µs) as HdrHistogram's libraries read it, to be merged or drawn elsewhere."""
        return str(self._histogram.encode().decode())

    def summary(self) -> Latency:
        """The distribution so far."""
        histogram = self._histogram

        def at(percentile: float) -> float:
            at_us = min(int(histogram.get_value_at_percentile(percentile)), _max_us(histogram))
            return round(at_us / 1000, 3)

        return Latency(
            count=histogram.get_total_count(),
            p50_ms=at(50),
            p90_ms=at(90),
            p99_ms=at(99),
            p999_ms=at(99.9),
            max_ms=round(_max_us(histogram) / 1000, 3),
        )


def _max_us(histogram: HdrHistogram) -> int:
    return int(histogram.get_max_value()) if histogram.get_total_count() else 0


class Publications:
    """Detection to publication of each decision: in total, by the rung of its script, and by step.

    Publication is the broker's append time. What has no script counts as `held`.
    """

    def __init__(self) -> None:
        self._total = Latencies()
        self._by_rung: dict[str, Latencies] = {}
        self._steps: dict[str, Latencies] = {}

    def record(self, decision: Decision, append_ms: int) -> float:
        """Count `decision`, which the broker appended at `append_ms` (epoch ms); its time in ms."""
        took_ms = append_ms - decision.timing.detected_ms
        rung = "held" if decision.script is None else decision.script.rung.value
        self._total.record(took_ms)
        self._by_rung.setdefault(rung, Latencies()).record(took_ms)
        for step, ms in decision.timing.steps.items():
            self._steps.setdefault(step, Latencies()).record(ms)
        append = append_ms - decision.timing.published_ms
        self._steps.setdefault("append", Latencies()).record(append)
        return took_ms

    def total(self) -> Latency:
        """All of them."""
        return self._total.summary()

    def encoded(self) -> str:
        """All of them, as `Latencies.encoded` gives them."""
        return self._total.encoded()

    def by_rung(self) -> dict[str, Latency]:
        """For each rung that wrote a script, and `held`."""
        return {rung: times.summary() for rung, times in sorted(self._by_rung.items())}

    def steps(self) -> dict[str, Latency]:
        """For each step that a decision names, and `append`: from the producer to the broker."""
        return {step: times.summary() for step, times in self._steps.items()}
