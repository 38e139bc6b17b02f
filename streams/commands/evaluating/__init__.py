"""`holdfast evaluate`: what the models are worth on unseen data, and what came of decisions."""

import typer

from streams.commands.evaluating.estimate import estimate
from streams.commands.evaluating.matrix import all_figures
from streams.commands.evaluating.risk import risk
from streams.commands.evaluating.scripts import scripts
from streams.commands.evaluating.sentiment import sentiment

app = typer.Typer()
app.callback(invoke_without_command=True)(all_figures)
app.command()(risk)
app.command()(sentiment)
app.command()(scripts)
app.command()(estimate)
