"""`python -m benchmarks latency`: detection to publication, under an open load of live events.

Detection is when the operator's watermark passed the boundary, publication the broker's append time of the
decision. The events go out at their own times whatever the stream does, so a stall shows in full. The first
seconds, in which the JVM still compiles, are driven at the same load and left out.
"""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import psutil
import typer
from msgspec import Struct
from rich.table import Table

from schemas.decision import Decision, Draft, DraftRequest
from schemas.topics import DRAFT_REQUESTS, DRAFTS, Topic
from schemas.vocabulary import HeldBy, Rung
from streams.commands.output import AsJson, notice, out, print_json, progress
from streams.commands.stack import started_up
from streams.consumer import Record, reading
from streams.drive import Drive, Load
from streams.embedded import Stack, process
from streams.settings import Settings, load_settings
from streams.telemetry import Latencies, Latency, Publications
from streams.truth import untrue

_HISTORY_S, _HISTORY_S_PER_USER = 40, 0.04
"""What it takes until the stream has read the users' history, generously: the crossings come after it."""
_decoder = msgspec.json.Decoder(Decision)
Kind = TypeVar("Kind")


class Drafts(Struct, frozen=True, kw_only=True):
    """Scripts that were written ahead of the crossings of the measured part.

    `share` is that of the drafts among the scripts that were sent.
    """

    asked: int
    written: int
    used: int
    share: float


class Report(Struct, kw_only=True):
    """What was measured, on which machine, under which load."""

    total: Latency
    by_rung: dict[str, Latency]
    steps: dict[str, Latency]
    boundary: Latency
    """From the boundary in event time to publication: with the watermark's bound and the ticks in it."""
    drafts: Drafts
    cores: dict[str, float]
    """Processor time of each component, and of this harness, in cores on average."""
    untrue: list[str]
    """Decisions whose rung is not the one that wrote their script."""
    budget_ms: int
    within_budget: float
    """Share of the decisions within the budget."""
    events_sent: int
    expected_crossings: int
    parameters: dict[str, Any]
    machine: dict[str, Any]


class Tally:
    """Counts each decision of the measured part once."""

    def __init__(self, budget_ms: int) -> None:
        self.publications = Publications()
        self.boundary = Latencies()
        self.decisions: dict[str, Decision] = {}
        self.within = 0
        self._budget_ms = budget_ms

    def take(self, record: Record, is_measured: Callable[[float], bool]) -> None:
        """A record of the topic `decisions`, if `is_measured` says so of its boundary."""
        if record.value is None:
            return
        decision = _decoder.decode(record.value)
        if decision.id in self.decisions or decision.held_by is HeldBy.REPLAY:
            return
        if not is_measured(decision.at):
            return
        self.decisions[decision.id] = decision
        self.boundary.record(record.append_ms - decision.at)
        self.within += self.publications.record(decision, record.append_ms) <= self._budget_ms


class Usage:
    """The processor time that the stack in `work_dir` and this process take from `begin` on."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._begun: tuple[float, dict[str, float]] | None = None

    def begin(self) -> None:
        """Count from now on, if nothing was counted yet."""
        if self._begun is None:
            self._begun = time.monotonic(), self._used_s()

    def cores(self) -> dict[str, float]:
        """By component, seconds of processor time for each second until now."""
        if self._begun is None:
            return {}
        begun_s, before = self._begun
        elapsed_s = time.monotonic() - begun_s
        return {name: (used - before.get(name, 0.0)) / elapsed_s for name, used in self._used_s().items()}

    def _used_s(self) -> dict[str, float]:
        found = {name: there.every for name, there in process.find(self._work_dir).items()}
        every = found | {"harness": (psutil.Process(),)}
        return {name: sum(map(_used_s, processes)) for name, processes in every.items()}


def _used_s(one: psutil.Process) -> float:
    try:
        times = one.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def latency(
    rate: Annotated[float, typer.Option("--rate", min=1, help="Live events a second.")] = 2000.0,
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="How long to measure.")] = 60,
    crossings: Annotated[float, typer.Option("--crossings", min=0.1, help="Crossings a second.")] = 20.0,
    warmup_s: Annotated[int, typer.Option("--warmup-s", min=0, help="Driven alike, and left out.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Of the generated traffic.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure detection to publication of decisions, in total, by rung and by step.

    Starts a stack of its own in a temporary folder and removes it afterwards.

    Example: python -m benchmarks latency --rate 2000 --seconds 60 --json | jq .total
    """
    declining = round(crossings * (seconds + warmup_s))
    users = round(declining * 1.2) + 50
    load = Load(
        users=users,
        declining=declining,
        rate_per_s=rate,
        seconds=seconds,
        warm_up_s=warmup_s,
        lead_s=round(_HISTORY_S + users * _HISTORY_S_PER_USER),
        seed=seed,
        thin=True,
    )
    work_dir = Path(tempfile.mkdtemp(prefix="holdfast-benchmark-"))
    settings = msgspec.structs.replace(load_settings(), work_dir=work_dir)
    stack = Stack(settings)
    try:
        report = _measured(started_up(stack), load)
    except BaseException:
        notice(f"the logs are kept in {work_dir / 'logs'}")
        stack.down()
        raise
    stack.down()
    shutil.rmtree(work_dir)
    if as_json:
        print_json(report)
    else:
        _print(report)


def _measured(settings: Settings, load: Load) -> Report:
    drive, tally, usage = Drive(settings, load), Tally(settings.budget_ms), Usage(settings.work_dir)
    with progress() as shown:
        bar = shown.add_task("starting", total=None)
        live_s = int(load.warm_up_s + load.seconds)

        def on_stage(what: str, done: int, total: int | None) -> None:
            shown.update(bar, description=what, completed=done, total=total)

        def on_record(record: Record | None) -> None:
            if record is None:
                shown.update(
                    bar,
                    description="measuring" if drive.is_measured(drive.now_ms()) else "warming up",
                    completed=min(live_s, int((drive.now_ms() - drive.live_from_ms) / 1000)),
                    total=live_s,
                )
                if drive.is_measured(drive.now_ms()):
                    usage.begin()
            else:
                tally.take(record, drive.is_measured)

        drive.run(on_stage, on_record)
    cores = usage.cores()
    assert drive.population is not None  # run has made it
    measured_from_ms = drive.live_from_ms + load.warm_up_s * 1000
    total = tally.publications.total()
    written = {draft.id: draft for draft in _published(settings, DRAFTS, Draft)}
    asked = {request.crossing.id for request in _published(settings, DRAFT_REQUESTS, DraftRequest)}
    scripts = [one.script for one in tally.decisions.values() if one.script is not None]
    used = sum(script.rung is Rung.DRAFT for script in scripts)
    measured = tally.decisions.keys()
    return Report(
        total=total,
        by_rung=tally.publications.by_rung(),
        steps=tally.publications.steps(),
        boundary=tally.boundary.summary(),
        drafts=Drafts(
            asked=len(asked & measured),
            written=len(written.keys() & measured),
            used=used,
            share=used / max(1, len(scripts)),
        ),
        cores=cores,
        untrue=list(untrue(tally.decisions.values(), written)),
        budget_ms=settings.budget_ms,
        within_budget=tally.within / max(1, total.count),
        events_sent=drive.sent,
        expected_crossings=sum(plan.at >= measured_from_ms for plan in drive.population.plans),
        parameters=msgspec.to_builtins(load) | {"parallelism": settings.parallelism},
        machine=machine(),
    )


def _published(settings: Settings, topic: Topic, kind: type[Kind]) -> Iterator[Kind]:
    decoder = msgspec.json.Decoder(kind)
    with reading(settings.bootstrap_servers, topic) as reader:
        for record in reader.present():
            yield decoder.decode(record.value or b"")


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    names = (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name"))
    return {
        "cpu": next(names, platform.processor() or platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def _print(report: Report) -> None:
    out.print(
        f"{report.parameters['rate_per_s']:g} events/s for {report.parameters['seconds']:g} s "
        f"on {report.machine['cores']} cores ({report.machine['cpu']})"
    )
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
    _add(table, "boundary → publication", report.boundary)
    out.print(table)
    cores = sorted(report.cores.items(), key=lambda pair: -pair[1])
    out.print("cores used: " + ", ".join(f"{name} {used:.2f}" for name, used in cores))
    drafts = report.drafts
    out.print(
        f"drafts: {drafts.asked:,} asked for, {drafts.written:,} written, {drafts.used:,} used, "
        f"{drafts.share:.1%} of all scripts; {len(report.untrue)} records name a wrong rung"
    )
    out.print(
        f"{report.within_budget:.1%} within the budget of {report.budget_ms} ms; "
        f"{report.total.count:,} crossings measured, {report.expected_crossings:,} expected"
    )


def _add(table: Table, name: str, times: Latency) -> None:
    figures = (times.p50_ms, times.p90_ms, times.p99_ms, times.p999_ms, times.max_ms)
    table.add_row(name, f"{times.count:,}", *(f"{ms:.1f}" for ms in figures))
