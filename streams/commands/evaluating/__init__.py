"""`holdfast evaluate`: what the models are worth, on data that they have not seen."""

import typer

from streams.commands.evaluating.estimate import estimate
from streams.commands.evaluating.risk import risk
from streams.commands.evaluating.scripts import scripts
from streams.commands.evaluating.sentiment import sentiment

app = typer.Typer(help="Say what the models are worth, on data of your own.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Say what the models are worth, on data of your own."""


app.command()(risk)
app.command()(sentiment)
app.command()(scripts)
app.command()(estimate)
