"""`holdfast`, the command."""

import logging
import os
import sys

import typer

from schemas.errors import HoldfastError
from streams.commands import (
    audit,
    bandit,
    checking,
    decisions,
    demo,
    evaluating,
    examples,
    experiments,
    explain,
    models,
    outcomes,
    policy,
    sending,
    stack,
    train,
)
from streams.commands.output import fail

app = typer.Typer(
    help="Keeps customers of a SaaS product: who grows less active is seen in time, and written to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command(rich_help_panel="The stack")(stack.up)
app.command(rich_help_panel="The stack")(stack.down)
app.command(rich_help_panel="The stack")(stack.status)
app.command(rich_help_panel="The stack")(stack.savepoint)
app.command(rich_help_panel="Events and decisions")(sending.send)
app.command(rich_help_panel="Events and decisions")(decisions.decisions)
app.command(rich_help_panel="Events and decisions")(explain.explain)
app.command(rich_help_panel="Events and decisions")(audit.audit)
app.add_typer(outcomes.app, name="outcomes", rich_help_panel="Outcomes")
app.add_typer(bandit.app, name="bandit", rich_help_panel="Outcomes")
app.add_typer(examples.app, name="examples", rich_help_panel="Outcomes")
app.command(rich_help_panel="Checking")(checking.recompute)
app.command(rich_help_panel="Checking")(checking.verify)
app.command(rich_help_panel="Trying out")(demo.demo)
app.add_typer(policy.app, name="policy", rich_help_panel="Rules")
app.add_typer(models.app, name="models", rich_help_panel="Models")
app.add_typer(train.app, name="train", rich_help_panel="Models")
app.add_typer(evaluating.app, name="evaluate", rich_help_panel="Models")
app.add_typer(experiments.app, name="experiments", rich_help_panel="Checking")


def main() -> None:
    """Run the command; an error that a person can mend is one line on stderr and exit status 1."""
    # Clients log each attempt to connect; what is left in the end is our own line.
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        app()
    except HoldfastError as error:
        fail(error)
        sys.exit(1)
    except BrokenPipeError:  # `holdfast decisions | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
