"""`python -m benchmarks peers`: the same job done with what one would take instead, beside the main job."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.peers.candidates import NAMES, SILENT, candidate
from benchmarks.peers.log import Log, make_log
from benchmarks.peers.tally import Comparison
from benchmarks.peers.trial import Killed, Silent, Speed, Trial
from schemas.errors import InputError
from streams.commands.output import AsJson, notice, out, print_json, progress
from streams.settings import Settings, load_settings
from streams.telemetry import Latency

_PEERS_PYTHON = Path(__file__).parent.parent.parent / ".venv-peers" / "bin" / "python"
_PAUSE_INTERVALS = 2.5


class Result(Struct, frozen=True, kw_only=True):
    """What one candidate gave; `hop` is from a rejected event to its dead letter."""

    name: str
    speed: Speed
    comparison: Comparison
    hop: Latency
    silent: Silent
    killed: Killed


class Report(Struct, frozen=True, kw_only=True):
    """All candidates of a run, on which machine, with which parameters."""

    results: list[Result]
    parameters: dict[str, Any]
    machine: dict[str, Any]


def peers(
    only: Annotated[list[str] | None, typer.Option("--only", help=f"One of {', '.join(NAMES)}.")] = None,
    users: Annotated[int, typer.Option("--users", min=20, help="Users in the log.")] = 400,
    per_use: Annotated[int, typer.Option("--per-use", min=1, help="How often each use comes.")] = 5,
    rate: Annotated[float, typer.Option("--rate", min=20, help="Live events a second.")] = 500.0,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to measure them.")] = 20.0,
    save_every_s: Annotated[float, typer.Option("--save-every-s", min=0.1, help="State, for all.")] = 2.0,
    peers_python: Annotated[Path, typer.Option("--peers-python", help="Where they are.")] = _PEERS_PYTHON,
    as_json: AsJson = False,
) -> None:
    """Compare the main job with Bytewax, Quix Streams, Faust, aiokafka and plain PyFlink.

    Each gets a fresh broker and the same log, runs alone, and is held against the batch answer.

    Example: make peers-setup && python -m benchmarks peers --only holdfast --only bytewax
    """
    names = only or list(NAMES)
    if unknown := set(names) - set(NAMES):
        raise InputError(f"no candidate is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    settings = msgspec.structs.replace(
        load_settings(), checkpoint_interval_ms=int(save_every_s * 1000), draft_lead_ms=0
    )
    results = []
    with progress() as shown:
        bar = shown.add_task("making the log", total=None)
        log = make_log(users, per_use, int(time.time() * 1000), settings.watermark_bound_ms)
        for number, name in enumerate(names):
            shown.update(bar, description=name, completed=number, total=len(names))
            results.append(_measured(name, settings, log, peers_python, rate, seconds))
    report = Report(
        results=results,
        parameters={
            "users": users,
            "events_in_log": log.events,
            "decisions": len(log.expected),
            "per_use": per_use,
            "rate_per_s": rate,
            "seconds": seconds,
            "save_every_s": save_every_s,
            "parallelism": settings.parallelism,
        },
        machine=machine(),
    )
    if as_json:
        print_json(report)
    else:
        _print(report)


def _measured(name: str, settings: Settings, log: Log, python: Path, rate: float, seconds: float) -> Result:
    work_dir = Path(tempfile.mkdtemp(prefix=f"holdfast-peers-{name}-"))
    try:
        with Trial(_in(settings, work_dir / "fast"), candidate(name, python), log) as trial:
            speed, comparison = trial.speed()
            hop, silent = trial.live(rate, seconds)
        with Trial(_in(settings, work_dir / "killed"), candidate(name, python), log) as trial:
            killed = trial.killed(_PAUSE_INTERVALS * settings.checkpoint_interval_ms / 1000)
    except BaseException:
        notice(f"the logs are kept in {work_dir}")
        raise
    shutil.rmtree(work_dir)
    return Result(name=name, speed=speed, comparison=comparison, hop=hop, silent=silent, killed=killed)


def _in(settings: Settings, work_dir: Path) -> Settings:
    return msgspec.structs.replace(settings, work_dir=work_dir)


def _print(report: Report) -> None:
    parameters = report.parameters
    out.print(
        f"{parameters['events_in_log']:,} events, {parameters['decisions']:,} decisions, "
        f"state saved every {parameters['save_every_s']:g} s; {report.machine['cores']} cores "
        f"({report.machine['cpu']})"
    )
    out.print(speeds(report))
    out.print(kills(report))
    for one in report.results:
        out.print(
            f"{one.name}, users who sent nothing more: {SILENT[one.name]}; "
            f"{one.silent.published} of {one.silent.due} declines came while live"
        )


def speeds(report: Report) -> Table:
    """Speed, cost and delay, one row a candidate."""
    shown = _table("events/s", "CPU s/million", "p50 ms", "p99 ms", "= batch")
    for one in report.results:
        shown.add_row(
            one.name,
            f"{one.speed.events_per_s:,.0f}",
            f"{one.speed.cpu_s_per_million:.1f}",
            f"{one.hop.p50_ms:.0f}",
            f"{one.hop.p99_ms:.0f}",
            verdict(one.comparison),
        )
    return shown


def kills(report: Report) -> Table:
    """What a kill half-way has cost, one row a candidate."""
    shown = _table("killed: missing", "different", "repeated", "back after s")
    for one in report.results:
        left = one.killed.comparison
        shown.add_row(
            one.name,
            f"{left.missing:,}",
            f"{left.different:,}",
            f"{left.repeated:,}",
            f"{one.killed.back_after_s:.0f}",
        )
    return shown


def _table(*heads: str) -> Table:
    table = Table(box=None)
    table.add_column("")
    for head in heads:
        table.add_column(head, justify="right")
    return table


def verdict(comparison: Comparison) -> str:
    """In a word or two, whether the decisions are those of the batch.

    >>> verdict(Comparison(expected=9, missing=0, different=0, repeated=1))
    'yes'
    >>> verdict(Comparison(expected=9, missing=2, different=1, repeated=0))
    '2 missing, 1 different'
    """
    if comparison.equal:
        return "yes"
    return f"{comparison.missing:,} missing, {comparison.different:,} different"
