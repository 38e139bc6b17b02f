"""What can happen to a stream in production, as a course of load, crossings and outages."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.load import Shape, Surge
from streams.traffic import TENANT, spread

PEAK = 3.0
HOT_SHARE = 1 / 3
DECLINE = 10.0
NOISY = 10.0
TENANTS = (TENANT, "acme-2", "acme-3", "acme-4", "acme-5")
"""Those of the scenario `noisy`; the first one is."""
DAY_NIGHT = 25.0
OUTAGE_S = 10.0
AFTER_S = 3.0
"""The load goes on for so long after the end, so that the last crossings are detected under it too."""


class Scenario(StrEnum):
    """The scenarios; each but `steady` differs from it in what its comment says."""

    STEADY = "steady"
    PEAK = "peak"  # three times the rate in the middle third
    DAY = "day"  # a whole day goes by, from midnight on; at noon 25 times the rate of midnight
    RETURN = "return"  # the broker is stopped for 10 s; what happened meanwhile comes at once
    HOT = "hot"  # one user makes a third of all events
    DECLINE = "decline"  # ten times the crossings in the middle third, as in a customer's outage
    NOISY = "noisy"  # of five tenants one has ten times its events and crossings in the middle third
    SOAK = "soak"  # half an hour


class Component(StrEnum):
    """What can be stopped for the middle third."""

    TRITON = "triton"
    REDIS = "redis"
    DRAFTER = "drafter"
    SIEVE = "sieve"


class Outage(Struct, frozen=True, kw_only=True):
    """The component `stop` is stopped at `from_s` after the start of the load, and started at `to_s`."""

    stop: str
    from_s: float
    to_s: float


class Course(Struct, frozen=True, kw_only=True):
    """What happens when, in seconds after the start of the load.

    `warm_up_s` are not measured, the `seconds` after them are. `declines_s` are the times of the crossings,
    and `tenants` whose users cross. `disturbed_s` is the time within which something is different, if there
    is one.
    """

    scenario: Scenario
    warm_up_s: float
    seconds: float
    shape: Shape
    declines_s: tuple[float, ...]
    tenants: tuple[str, ...] = ()
    disturbed_s: tuple[float, float] | None = None
    outage: Outage | None = None


def course(
    scenario: Scenario,
    shape: Shape,
    *,
    seconds: float,
    warm_up_s: float,
    draft_lead_s: float,
    crossings_per_s: float,
    stop: Component | None = None,
) -> Course:
    """The course of `scenario` under the load of `shape`.

    Drafts are asked for `draft_lead_s` before their crossing. So the crossings begin that long after the
    load and go on that long after its end: in all that is measured, drafts are asked for as steadily as
    users cross.
    """
    begin_s = draft_lead_s + warm_up_s
    end_s = begin_s + seconds
    middle_s = begin_s + seconds / 3, begin_s + seconds * 2 / 3
    declines_s = spread(round(crossings_per_s * (end_s - draft_lead_s)), draft_lead_s, end_s)
    after_s = spread(max(1, round(crossings_per_s * draft_lead_s)), end_s, end_s + draft_lead_s)
    differs = _differs(scenario, begin_s, seconds, middle_s, crossings_per_s)
    if stop is not None:
        outage = Outage(stop=stop, from_s=middle_s[0], to_s=middle_s[1])
        differs = replace(differs, disturbed_s=middle_s, outage=outage)
    all_s = (*sorted((*declines_s, *differs.declines_s)), *after_s)
    planned = [(at_s, TENANTS[i % len(TENANTS)]) for i, at_s in enumerate(all_s)]
    planned = sorted(planned + [(at_s, TENANTS[0]) for at_s in differs.of_noisy_s])
    return Course(
        scenario=scenario,
        warm_up_s=begin_s,
        seconds=seconds,
        shape=replace(shape, seconds=end_s + AFTER_S, **differs.shape),
        declines_s=tuple(at_s for at_s, _ in planned),
        tenants=tuple(tenant for _, tenant in planned) if scenario is Scenario.NOISY else (),
        disturbed_s=differs.disturbed_s,
        outage=differs.outage,
    )


class _Differs(Struct, frozen=True, kw_only=True):
    """What is different from `steady`: in the load's shape, when, and the further crossings."""

    shape: dict[str, object] = {}
    disturbed_s: tuple[float, float] | None = None
    outage: Outage | None = None
    declines_s: list[float] = []
    of_noisy_s: list[float] = []


def _differs(
    scenario: Scenario, begin_s: float, seconds: float, middle_s: tuple[float, float], crossings_per_s: float
) -> _Differs:
    from_s, to_s = middle_s
    match scenario:
        case Scenario.PEAK:
            surge = Surge(from_s=from_s, to_s=to_s, factor=PEAK)
            return _Differs(disturbed_s=middle_s, shape={"surge": surge})
        case Scenario.DAY:
            return _Differs(shape={"day_night": DAY_NIGHT, "day_s": seconds, "midnight_s": begin_s})
        case Scenario.RETURN:
            outage = Outage(stop="broker", from_s=from_s, to_s=from_s + OUTAGE_S)
            return _Differs(disturbed_s=(outage.from_s, outage.to_s), outage=outage)
        case Scenario.HOT:
            return _Differs(shape={"hot": HOT_SHARE})
        case Scenario.DECLINE:
            more = round((DECLINE - 1) * crossings_per_s * seconds / 3)
            return _Differs(disturbed_s=middle_s, declines_s=spread(more, from_s, to_s))
        case Scenario.NOISY:
            factor = (len(TENANTS) - 1 + NOISY) / len(TENANTS)
            surge = Surge(from_s=from_s, to_s=to_s, factor=factor, of_first=True)
            more = round((NOISY - 1) * crossings_per_s / len(TENANTS) * seconds / 3)
            return _Differs(
                disturbed_s=middle_s,
                shape={"tenants": TENANTS, "surge": surge},
                of_noisy_s=spread(more, from_s, to_s),
            )
    return _Differs()
