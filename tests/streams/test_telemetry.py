"""Times from detection to publication."""

import pytest

from schemas.decision import Decision, Timing
from schemas.vocabulary import HeldBy, Rung
from streams.telemetry import Latencies, Publications
from tests import records


def decision(rung: Rung | None, detected_ms: float) -> Decision:
    return records.decision(
        id=f"{detected_ms}",
        held_by=None if rung else HeldBy.CONSENT,
        script=rung and records.script(rung=rung),
        timing=Timing(detected_ms=detected_ms, published_ms=detected_ms + 8, steps={"render": 0.25}),
    )


def test_nothing_counted_is_all_zero() -> None:
    assert Latencies().summary().count == 0 == Latencies().summary().max_ms


@pytest.mark.parametrize(("ms", "counted"), [(-0.4, 0.0), (0.0, 0.0), (12.3, 12.3), (10**9, 3_600_000.0)])
def test_any_time_is_counted(ms: float, counted: float) -> None:
    times = Latencies()
    times.record(ms)
    assert times.summary().max_ms == pytest.approx(counted, rel=1e-3)


def test_no_percentile_lies_above_the_greatest_time() -> None:
    times = Latencies()
    for ms in (1.0, 2.0, 3001.3):
        times.record(ms)
    summary = times.summary()
    assert summary.p50_ms == pytest.approx(2, rel=1e-3)
    assert summary.p99_ms <= summary.p999_ms <= summary.max_ms


def test_rungs_and_steps_are_told_apart() -> None:
    publications = Publications()
    assert publications.record(decision(Rung.LIVE, 1000), 1040) == 40
    publications.record(decision(Rung.TEMPLATE, 1000), 1010)
    publications.record(decision(None, 1000), 1009)
    assert publications.total().count == 3
    assert {rung: times.count for rung, times in publications.by_rung().items()} == {
        "held": 1,
        "live": 1,
        "template": 1,
    }
    steps = publications.steps()
    assert set(steps) == {"render", "append"}
    assert steps["append"].max_ms == pytest.approx(32, rel=1e-3)
