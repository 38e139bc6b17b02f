"""`python -m benchmarks`: one command for each thing that is measured."""

import logging
import sys

import typer

from benchmarks import (
    brief,
    capacity,
    gpu,
    latency,
    learners,
    mismatch,
    overload,
    policy,
    prefill,
    risk,
    risk_latency,
    rollback,
    scale,
    tenants,
    uplift,
)
from benchmarks.peers.command import peers
from benchmarks.simulation.calibrate import simulate_calibrate
from benchmarks.simulation.command import simulate
from benchmarks.simulation.pool import simulate_pool
from schemas.errors import HoldfastError
from streams.commands.output import fail

app = typer.Typer(
    help="Measure holdfast on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Measure holdfast on this machine."""


app.command()(latency.latency)
app.command()(capacity.capacity)
app.command()(scale.scale)
app.command()(gpu.gpu)
app.command()(risk.risk)
app.command()(risk_latency.risk_latency)
app.command()(rollback.rollback)
app.command()(policy.policy)
app.command()(brief.brief)
app.command()(prefill.prefill)
app.command()(uplift.uplift)
app.command()(mismatch.mismatch)
app.command("overload")(overload.overloaded)
app.command()(learners.learners)
app.command()(peers)
app.command()(simulate)
app.command()(tenants.tenants)
app.command()(simulate_pool)
app.command()(simulate_calibrate)


def main() -> None:
    """Run the command; an error that a person can mend is one line on stderr and exit status 1."""
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        app()
    except HoldfastError as error:
        fail(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
