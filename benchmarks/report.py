"""The report of a run: one object for machines, a page for people."""

from typing import Any

from msgspec import Struct
from rich.table import Table

from benchmarks.scenario import NOISY
from benchmarks.sender import Sending
from benchmarks.stalls import NOTICED_MS, Stall
from benchmarks.tally import Agreement, Figures, Second
from benchmarks.watch import Checkpoint, Sample
from streams.commands.output import out
from streams.telemetry import Latency


class Drafts(Struct, frozen=True, kw_only=True):
    """Scripts that were written ahead of the crossings of the measured part.

    `share` is that of the drafts among the scripts that were sent; `wasted_per_used` are the drafts that were
    written and not used, for each that was. Half of those written were there `ahead_p50_s` before their
    crossings or longer, and 99 of 100 `ahead_p1_s`. `asked_per_s` are all requests of the measured time, and
    `asked_max_per_s` those of its busiest second.
    """

    asked: int
    written: int
    used: int
    share: float
    wasted_per_used: float
    ahead_p50_s: float | None
    ahead_p1_s: float | None
    asked_per_s: float
    asked_max_per_s: int


class Behind(Struct, frozen=True, kw_only=True):
    """How far the main job fell behind: unread records of one partition, and event time from the present."""

    records_at_end: int
    records_max: int
    watermark_at_end_ms: int
    watermark_max_ms: int


class Report(Struct, kw_only=True):
    """What was measured, on which machine, under which load.

    Latencies are from detection to publication, unless they are called otherwise. `boundary` is from the
    boundary, the time that was certain beforehand, to publication: a stall of any part shows in it.
    """

    scenario: str
    total: Latency
    by_rung: dict[str, Latency]
    steps: dict[str, Latency]
    boundary: Latency
    phases: dict[str, Figures]
    """Before, during and after the disturbance, where the scenario has one."""
    disturbed_s: tuple[float, float] | None
    """When it was, in s after the begin of what is measured."""
    tenants: dict[str, dict[str, Figures]]
    """The phases of the noisy tenant and of the others, where one is noisy."""
    others_within: bool | None
    """Whether the others' p99 was within the budget while one was noisy; null where none was."""
    budget_ms: int
    within_budget: float
    """Share of the decisions within the budget."""
    stalls: list[Stall]
    """When the machine itself stood still."""
    over_while_stalled: int
    """Of the decisions over the budget those that were under way then."""
    crossings: Agreement
    equal: bool
    """Whether each planned decision was published as planned, and no other."""
    drafts: Drafts
    untrue: list[str]
    """Decisions whose rung is not the one that wrote their script."""
    events_sent: int
    """In the measured part."""
    load: Sending
    """What the sender did in the whole run."""
    behind: Behind | None
    """None where Flink did not say."""
    cores: dict[str, float]
    """Processor time of each component, of this harness and of its processes (`load` sends), in cores, over
    the measured part."""
    cpu_s_per_million: float
    """Processor seconds of sieve, main job, writer of sequences and Redis for a million events."""
    histograms: dict[str, str]
    """HdrHistograms in µs (base64, as its libraries decode them) of `total` and `boundary`."""
    over_time: list[Second]
    samples: list[Sample]
    checkpoints: list[Checkpoint]
    measured_from_ms: int
    history_s: float
    """How long it took to send the history and to have it read."""
    parameters: dict[str, Any]
    machine: dict[str, Any]


def show(report: Report) -> None:
    """The page for people."""
    out.print(
        f"{report.scenario}: {report.parameters['rate_per_s']:g} events/s for "
        f"{report.parameters['seconds']:g} s on {report.machine['cores']} cores ({report.machine['cpu']})"
    )
    out.print(_latencies(report))
    cores = sorted(report.cores.items(), key=lambda pair: -pair[1])
    out.print("cores used: " + ", ".join(f"{name} {used:.2f}" for name, used in cores))
    out.print(
        f"{report.cpu_s_per_million:.1f} s of processor time for a million events in sieve, main job, "
        "writer and Redis"
    )
    load, drafts, crossings, behind = report.load, report.drafts, report.crossings, report.behind
    out.print(
        f"{report.events_sent:,} events sent; {load.late:,} of {load.sent:,} late, "
        f"send lag p99 {load.send_lag.p99_ms:.0f} ms, max {load.send_lag.max_ms:.0f} ms; "
        f"{load.new_panes:,} active hours of users"
    )
    if behind is not None:
        out.print(
            f"main job: {behind.records_at_end:,} records of a partition behind at the end, "
            f"{behind.records_max:,} at most; "
            f"event time {behind.watermark_at_end_ms:,} ms behind (at most {behind.watermark_max_ms:,})"
        )
    out.print(
        f"drafts: {drafts.asked:,} asked for, {drafts.written:,} written, {drafts.used:,} used, "
        f"{drafts.share:.1%} of all scripts, {drafts.wasted_per_used:.2f} wasted for each used; "
        f"{len(report.untrue)} records name a wrong rung"
    )
    if drafts.ahead_p50_s is not None:
        out.print(
            f"half of the drafts were there {drafts.ahead_p50_s:.1f} s before their crossings or longer, "
            f"99 of 100 {drafts.ahead_p1_s:.1f} s"
        )
    out.print(f"{report.within_budget:.1%} within the budget of {report.budget_ms} ms")
    if report.stalls:
        over = round((1 - report.within_budget) * report.total.count)
        out.print(
            f"a core of the machine stood still {len(report.stalls):,} times for {NOTICED_MS:g} ms or more, "
            f"{max(stall.ms for stall in report.stalls):.0f} ms at most, "
            f"during {report.over_while_stalled:,} of the {over:,} decisions over the budget"
        )
    if report.others_within is not None:
        colour, word = ("green", "within") if report.others_within else ("red", "over")
        p99_ms = report.tenants["others"]["during"].published.p99_ms
        out.print(
            f"beside a tenant at {NOISY:g} times its load the others' p99 was {p99_ms:.1f} ms, "
            f"[{colour}]{word} the budget[/]"
        )
    colour = "green" if report.equal else "red"
    out.print(
        f"{crossings.expected:,} crossings expected, {crossings.found:,} found: [{colour}]"
        f"{crossings.missing:,} missing, {crossings.different:,} not as planned[/]"
    )


def _latencies(report: Report) -> Table:
    table = Table(
        "detection → publication", "count", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", box=None
    )
    for column in table.columns[1:]:
        column.justify = "right"
    _add(table, "in total", report.total)
    for rung, times in report.by_rung.items():
        _add(table, f"  rung {rung}", times)
    for step, times in report.steps.items():
        _add(table, f"  step {step}", times)
    for name, figures in report.phases.items():
        _add(table, f"  {name}", figures.published)
    for group, phases in report.tenants.items():
        for name, figures in phases.items():
            _add(table, f"  {group}, {name}", figures.published)
    _add(table, "boundary → publication", report.boundary)
    for name, figures in report.phases.items():
        _add(table, f"  {name}", figures.boundary)
    return table


def _add(table: Table, name: str, times: Latency) -> None:
    figures = (times.p50_ms, times.p90_ms, times.p99_ms, times.p999_ms, times.max_ms)
    table.add_row(name, f"{times.count:,}", *(f"{ms:.1f}" for ms in figures))
