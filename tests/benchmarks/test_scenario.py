"""A course says beforehand when everything happens."""

import numpy as np
import pytest

from benchmarks.load import Shape
from benchmarks.scenario import TENANTS, Component, Course, Scenario, course


def of(scenario: Scenario, stop: Component | None = None) -> Course:
    return course(
        scenario,
        Shape(users=1000, rate_per_s=100, seconds=0),
        seconds=60,
        warm_up_s=20,
        draft_lead_s=30,
        crossings_per_s=10,
        stop=stop,
    )


def rate(course: Course, from_s: float, to_s: float) -> float:
    """Crossings a second between."""
    times_s = np.array(course.declines_s)
    return float(((times_s >= from_s) & (times_s < to_s)).sum() / (to_s - from_s))


@pytest.mark.parametrize("scenario", set(Scenario) - {Scenario.DECLINE, Scenario.NOISY})
def test_crossings_come_evenly_from_one_draft_lead_on_until_one_after_the_end(scenario: Scenario) -> None:
    planned = of(scenario)
    assert (planned.warm_up_s, planned.seconds) == (50, 60)
    assert rate(planned, 0, 30) == 0
    assert rate(planned, 30, 50) == rate(planned, 50, 110) == rate(planned, 110, 140) == 10
    assert planned.shape.seconds > 110


def test_a_mass_decline_is_ten_times_the_crossings_in_the_middle_third() -> None:
    planned = of(Scenario.DECLINE)
    assert (rate(planned, 50, 70), rate(planned, 70, 90), rate(planned, 90, 110)) == (10, 100, 10)
    assert planned.disturbed_s == (70, 90)


def test_what_changes_lies_in_what_is_measured() -> None:
    surge = of(Scenario.PEAK).shape.surge
    assert surge is not None and (surge.from_s, surge.to_s, surge.factor) == (70, 90, 3)
    shape = of(Scenario.DAY).shape
    assert (shape.midnight_s, shape.day_s, shape.day_night) == (50, 60, 25)
    outage = of(Scenario.RETURN).outage
    assert outage is not None and (outage.stop, outage.from_s, outage.to_s) == ("broker", 70, 80)


@pytest.mark.parametrize("stop", Component)
def test_a_component_can_be_stopped_for_the_middle_third(stop: Component) -> None:
    planned = of(Scenario.PEAK, stop)
    assert planned.outage is not None and planned.outage.stop == stop
    assert (planned.outage.from_s, planned.outage.to_s) == planned.disturbed_s == (70, 90)


def test_a_noisy_tenant_has_ten_times_its_events_and_crossings_and_the_others_what_they_have() -> None:
    planned = of(Scenario.NOISY)
    assert planned.disturbed_s == (70, 90)
    times_s, tenants = np.array(planned.declines_s), np.array(planned.tenants)
    for tenant in TENANTS:
        own = times_s[tenants == tenant]
        rates = [((own >= begin) & (own < begin + 20)).sum() / 20 for begin in (50, 70, 90)]
        assert rates == [2, 20 if tenant == TENANTS[0] else 2, 2]
    assert planned.shape.tenants == TENANTS
    surge = planned.shape.surge
    assert surge is not None and surge.of_first and surge.factor == pytest.approx((4 + 10) / 5)
