"""`python -m benchmarks simulate`: simulated customers around the real stack, and what it does for them."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from benchmarks.simulation.engines import InMemory, OnStack
from benchmarks.simulation.loop import Loop, Plan
from benchmarks.simulation.parameters import PROFILE, TENANT, World
from benchmarks.simulation.pictures import plot
from benchmarks.simulation.report import Report, report
from benchmarks.simulation.show import show
from benchmarks.stack import own_stack
from schemas.codec import encode
from schemas.errors import InputError
from schemas.topics import DECISIONS
from streams.commands.output import AsJson, keep, print_json, progress
from streams.commands.stack import started_up
from streams.consumer import reading
from streams.settings import Settings, load_settings

COMPONENTS = ["broker", "redis", "triton", "sieve", "flink", "sequences", "composer", "outcomes"]
"""Without the ticker, which carries event time to the present, and without assessments."""
_BUDGET_MS = 60_000
"""A day's crossings come at once here: what would be 50 ms apart in life waits for the model."""


def simulate(
    users: Annotated[int, typer.Option("--users", min=8, help="Simulated customers.")] = 1000,
    days: Annotated[int, typer.Option("--days", min=1, help="After 30 days without scripts.")] = 90,
    seed: Annotated[int, typer.Option("--seed", help="Everything but the model follows from it.")] = 1,
    world: Annotated[
        World, typer.Option("--world", help="How customers respond: as assumed, not at all, or contrary.")
    ] = World.ASSUMED,
    memory: Annotated[
        bool, typer.Option("--memory", help="In this process, templates only: no stack, and some seconds.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write simulation.json and simulation.svg there."),
    ] = None,
    records: Annotated[
        bool,
        typer.Option("--records", help="With --memory and --out: the records too, for `holdfast` to read."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate customers who are written to, respond and stay or leave, in four arms of an experiment.

    Starts a stack of its own in a temporary folder and removes it afterwards. Every figure is simulated.

    Example: python -m benchmarks simulate --users 1000 --days 90 --out report
    Example: python -m benchmarks simulate --memory --world deaf --json | jq '.arms[].against_none.churned'
    """
    plan = Plan(users=users, days=days, seed=seed, world=world)
    if records and not (memory and out):
        raise InputError("--records wants --memory and --out: a stack has the records on its topics")
    found = in_memory(plan, out if records else None) if memory else on_stack(plan, load_settings())
    if out is not None:
        keep(out, "simulation", found, partial(plot, found))
    if as_json:
        print_json(found)
    else:
        show(found)


def in_memory(plan: Plan, records: Path | None = None) -> Report:
    """The loop in this process; its records are written to the folder `records`, if one is given."""
    begun_s = time.monotonic()
    loop = Loop(plan, InMemory())
    _run(loop)
    if records is not None:
        write_records(loop, records)
    return report(loop, "in memory", time.monotonic() - begun_s, 0)


def write_records(loop: Loop, folder: Path) -> None:
    """Decisions, outcomes and rules as files, for `holdfast experiments report` and other commands."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "decisions.jsonl").open("wb") as lines:
        for one in loop.ledger.decisions:
            lines.write(encode(msgspec.to_builtins(one) | {"append_ms": one.at}) + b"\n")
    with (folder / "outcomes.jsonl").open("wb") as lines:
        lines.writelines(encode(one) + b"\n" for one in loop.ledger.outcomes)
    (folder / "rules.yaml").write_bytes(encode(loop.versions))  # JSON is YAML


def on_stack(plan: Plan, settings: Settings) -> Report:
    """The loop through a stack of its own.

    Raises:
        HoldfastError: the stack does not start, or does not answer.
    """
    settings = msgspec.structs.replace(settings, budget_ms=_BUDGET_MS, draft_lead_ms=0)
    with own_stack(settings) as stack:
        stack.settings.work_dir.mkdir(parents=True, exist_ok=True)
        tenants = stack.settings.work_dir / "tenants.json"
        tenants.write_bytes(msgspec.json.encode({TENANT: PROFILE}))
        stack.settings = msgspec.structs.replace(stack.settings, tenants_file=tenants)
        started = started_up(stack, COMPONENTS)
        begun_s = time.monotonic()
        with reading(started.bootstrap_servers, DECISIONS, from_beginning=False) as reader:
            engine = OnStack(started, reader)
            try:
                loop = Loop(plan, engine)
                _run(loop)
            finally:
                engine.close()
        return report(loop, "Kafka, Flink, Redis, Triton", time.monotonic() - begun_s, engine.differing)


def _run(loop: Loop) -> None:
    with progress() as shown:
        bar = shown.add_task("simulated days", total=None)
        loop.run(lambda day, days: shown.update(bar, completed=day, total=days))
