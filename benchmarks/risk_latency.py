"""`python -m benchmarks risk-latency`: from what happens to a user to the decision on the risk crossing.

Messages to support, bursts of errors and account changes go out beside a load, each at its own time, whatever
the stream does. Each is of a user of its own with a history, and the tenant's threshold is 0, so that each is
a crossing: how long one takes does not depend on how probable it is that the user leaves. Times are the
broker's append times of the event (of the third one, where a burst ends) and of the decision.
"""

from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.load import Shape
from benchmarks.machine import machine
from benchmarks.occasions import Happening, Occasion
from benchmarks.sender import Sender
from benchmarks.stack import own_stack
from schemas.decision import Decision
from schemas.vocabulary import Cause, Trigger
from streams.commands.output import AsJson, keep, out, print_json, progress
from streams.commands.stack import started_up
from streams.consumer import Record
from streams.drive import Drive, Load
from streams.settings import Settings, load_settings
from streams.telemetry import Latencies, Latency, Publications
from streams.traffic import TENANT, spread

_HISTORY_S, _HISTORY_S_PER_USER = 40, 0.03
"""What it takes until the stream has read the users' history: the load comes after it."""
_TAIL_S = 5.0
"""So long after the last occasion its decision is waited for."""
_TENANTS = {TENANT: {"product": "Acme", "risk_threshold": 0.0, "risk_clear": 0.0}}
_decoder = msgspec.json.Decoder(Decision)


class Report(Struct, kw_only=True):
    """What was measured. Latencies are from the event's append time to the decision's."""

    total: Latency
    by_trigger: dict[str, Latency]
    by_rung: dict[str, Latency]
    """The same of each rung that wrote a script; `held` where none was to be sent."""
    steps: dict[str, Latency]
    """In their order: `notice` is from the third error to the notice of the burst, `append` from the producer
    to the broker."""
    intended: Latency
    """From the time at which the event was to be sent, to the decision."""
    within_budget: float
    budget_ms: int
    expected: int
    missing: dict[str, int]
    """Occasions without a decision, by trigger."""
    held: dict[str, int]
    """Decisions without a script, by what held them."""
    parameters: dict[str, Any]
    machine: dict[str, Any]


class Found:
    """The decisions on occasions, each once, and the figures of those that were planned."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Decision, int]] = {}

    def take(self, record: Record) -> None:
        """A record of the topic `decisions`; what is not of a risk crossing is left out."""
        if record.value is None:
            return
        decision = _decoder.decode(record.value)
        if decision.cause is Cause.RISK:
            self._found.setdefault(decision.id, (decision, record.append_ms))

    def report(
        self, planned: list[Occasion], append_ms: dict[str, int], budget_ms: int, parameters: dict[str, Any]
    ) -> Report:
        """The figures of `planned`; `append_ms` tells of each decision when its event was appended."""
        publications, total, intended = Publications(), Latencies(), Latencies()
        by_trigger: dict[str, Latencies] = {trigger.value: Latencies() for trigger in Trigger}
        by_rung: dict[str, Latencies] = defaultdict(Latencies)
        notice_ms, held, missing, within = Latencies(), Counter[str](), Counter[str](), 0
        for occasion in planned:
            if occasion.decision_id not in self._found:
                missing[occasion.trigger.value] += 1
                continue
            decision, decided_ms = self._found[occasion.decision_id]
            begun_ms = append_ms[occasion.decision_id]
            publications.record(decision, decided_ms)
            if occasion.trigger is Trigger.ERRORS:
                notice_ms.record(decision.timing.detected_ms - begun_ms)
            if decision.held_by is not None:
                held[decision.held_by.value] += 1
            rung = "held" if decision.script is None else decision.script.rung.value
            for times in (total, by_trigger[occasion.trigger.value], by_rung[rung]):
                times.record(decided_ms - begun_ms)
            intended.record(decided_ms - occasion.at)
            within += decided_ms - begun_ms <= budget_ms
        return Report(
            total=total.summary(),
            by_trigger=_summaries(by_trigger),
            by_rung=_summaries(by_rung),
            steps={"notice": notice_ms.summary()} | publications.steps(),
            intended=intended.summary(),
            within_budget=within / max(1, len(planned)),
            budget_ms=budget_ms,
            expected=len(planned),
            missing=dict(missing),
            held=dict(held),
            parameters=parameters,
            machine=machine(),
        )


def risk_latency(
    rate: Annotated[float, typer.Option("--rate", min=1, help="Live events a second, beside.")] = 2000.0,
    seconds: Annotated[int, typer.Option("--seconds", min=3, help="How long to measure.")] = 60,
    occasions: Annotated[float, typer.Option("--occasions", min=0.1, help="A second.")] = 6.0,
    warmup_s: Annotated[int, typer.Option("--warmup-s", min=0, help="Driven alike, and left out.")] = 60,
    seed: Annotated[int, typer.Option("--seed", help="Of the generated traffic.")] = 1,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write risk-latency.json there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how long it takes from an event at which a user is assessed to the decision, and each step.

    Starts a stack of its own in a temporary folder and removes it afterwards.

    Example: python -m benchmarks risk-latency --seconds 60 --json | jq .by_trigger
    """
    parameters: dict[str, Any] = {
        "rate": rate,
        "seconds": seconds,
        "occasions": occasions,
        "warmup_s": warmup_s,
        "seed": seed,
    }
    with TemporaryDirectory() as folder:
        tenants = Path(folder) / "tenants.json"
        tenants.write_bytes(msgspec.json.encode(_TENANTS))
        with own_stack(msgspec.structs.replace(load_settings(), tenants_file=tenants)) as stack:
            started_up(stack)
            report = _run(stack.settings, parameters)
    if to is not None:
        keep(to, "risk-latency", report)
    if as_json:
        print_json(report)
    else:
        _show(report)


def _run(settings: Settings, parameters: dict[str, Any]) -> Report:
    end_s = float(parameters["warmup_s"] + parameters["seconds"])
    at_s = spread(round(parameters["occasions"] * end_s), 0.0, end_s)
    shape = Shape(users=100_000, rate_per_s=parameters["rate"], seconds=end_s, seed=parameters["seed"])
    happening = Happening(settings.bootstrap_servers, Sender(settings.bootstrap_servers, shape), at_s)
    load = Load(
        users=len(at_s),
        declines_s=(),
        seconds=parameters["seconds"] + _TAIL_S,
        warm_up_s=parameters["warmup_s"],
        lead_s=round(_HISTORY_S + len(at_s) * _HISTORY_S_PER_USER),
        seed=parameters["seed"],
        thin=True,
    )
    drive, found = Drive(settings, load, happening), Found()
    with progress() as shown:
        bar = shown.add_task("starting", total=None)

        def on_stage(what: str, done: int, total: int | None) -> None:
            shown.update(bar, description=what, completed=done, total=total)

        def on_record(record: Record | None) -> None:
            if record is not None:
                found.take(record)
            shown.update(bar, description="measuring", completed=len(happening.append_ms), total=len(at_s))

        drive.run(on_stage, on_record)
    measured = [one for one in happening.planned if drive.is_measured(one.at)]
    return found.report(measured, happening.append_ms, settings.budget_ms, parameters)


def _summaries(groups: dict[str, Latencies]) -> dict[str, Latency]:
    return {name: times.summary() for name, times in groups.items()}


def _show(report: Report) -> None:
    table = Table("event → decision", "count", "p50 ms", "p90 ms", "p99 ms", "max ms", box=None)
    rows = {
        "in total": report.total,
        **{f"  at {name}": times for name, times in report.by_trigger.items()},
        **{f"  rung {name}": times for name, times in report.by_rung.items()},
        **{f"  step {name}": times for name, times in report.steps.items()},
        "from the intended time": report.intended,
    }
    for name, times in rows.items():
        figures = (times.p50_ms, times.p90_ms, times.p99_ms, times.max_ms)
        table.add_row(name, f"{times.count:,}", *(f"{ms:.1f}" for ms in figures))
    out.print(table)
    lacking = ", ".join(f"{many} at {name}" for name, many in report.missing.items())
    held = ", ".join(f"{many} by {name}" for name, many in report.held.items())
    out.print(
        f"{report.expected:,} occasions, {sum(report.missing.values())} without a decision"
        f"{f' ({lacking})' if lacking else ''}; {report.within_budget:.1%} within {report.budget_ms} ms"
        f"{f'; held: {held}' if held else ''}"
    )
