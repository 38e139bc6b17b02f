"""`python -m benchmarks latency`: detection to publication, under an open load and in whatever happens to it.

Detection is when the operator's watermark passed the boundary, publication the broker's append time of the
decision. Nothing in the load waits for the stream: every event and every crossing has its time beforehand,
and is counted from it (no coordinated omission), so a stall shows in full. The first seconds, in which the
JVM still compiles, are driven at the same load and left out.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from benchmarks.load import Shape
from benchmarks.plot import plot
from benchmarks.report import show
from benchmarks.run import Run
from benchmarks.scenario import Component, Scenario, course
from benchmarks.stack import own_stack
from streams.commands.output import AsJson, keep, print_json
from streams.commands.stack import started_up
from streams.rulefile import load_rules
from streams.rules import publish_rules
from streams.settings import load_settings

SECONDS, SOAK_SECONDS = 60, 1800
WARM_UP_S = 120
"""So long after a start under load the JIT compilers of Flink and the broker take a sixth of two cores."""
CROSSINGS_PER_S, SOAK_CROSSINGS_PER_S = 20.0, 5.0
DRAFT_LEAD_MS = 30_000
"""Shorter than in production, so that a short run asks for drafts as steadily as users cross."""


def latency(
    rate: Annotated[float, typer.Option("--rate", min=1, help="Live events a second.")] = 2000.0,
    seconds: Annotated[
        int | None,
        typer.Option("--seconds", min=3, help=f"How long to measure: {SECONDS}, or {SOAK_SECONDS} to soak."),
    ] = None,
    crossings: Annotated[
        float | None,
        typer.Option(
            "--crossings",
            min=0.1,
            help=f"A second: {CROSSINGS_PER_S:g}, or {SOAK_CROSSINGS_PER_S:g} to soak.",
        ),
    ] = None,
    users: Annotated[int, typer.Option("--users", min=100, help="Who make the live events.")] = 100_000,
    scenario: Annotated[Scenario, typer.Option("--scenario", help="What happens.")] = Scenario.STEADY,
    stop: Annotated[
        Component | None, typer.Option("--stop", help="Stop it for the middle third of what is measured.")
    ] = None,
    warmup_s: Annotated[
        int, typer.Option("--warmup-s", min=0, help="Driven alike, and left out.")
    ] = WARM_UP_S,
    seed: Annotated[int, typer.Option("--seed", help="Of the generated traffic.")] = 1,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="Rules that hold meanwhile, as benchmarks/rules.yaml."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write latency.json and latency.svg there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure detection to publication of decisions, in total, by rung and by step.

    Starts a stack of its own in a temporary folder and removes it afterwards.

    Example: python -m benchmarks latency --rate 2000 --seconds 60 --json | jq .total
    Example: python -m benchmarks latency --scenario peak --stop redis --out report
    """
    if stop is not None and scenario is Scenario.RETURN:
        raise typer.BadParameter("the scenario return stops the broker: leave --stop out")
    versions = load_rules(rules) if rules is not None else ()
    soaks = scenario is Scenario.SOAK
    settings = load_settings()
    if "draft_lead_ms" not in settings.given:
        settings = msgspec.structs.replace(settings, draft_lead_ms=DRAFT_LEAD_MS)
    planned = course(
        scenario,
        Shape(users=users, rate_per_s=rate, seconds=0, seed=seed),
        seconds=seconds or (SOAK_SECONDS if soaks else SECONDS),
        warm_up_s=warmup_s,
        draft_lead_s=settings.draft_lead_ms / 1000,
        crossings_per_s=crossings or (SOAK_CROSSINGS_PER_S if soaks else CROSSINGS_PER_S),
        stop=stop,
    )
    with own_stack(settings) as stack:
        started_up(stack)
        publish_rules(stack.settings.bootstrap_servers, versions)
        report = Run(stack, planned).report()
    if out is not None:
        keep(out, "latency", report, partial(plot, report))
    if as_json:
        print_json(report)
    else:
        show(report)
