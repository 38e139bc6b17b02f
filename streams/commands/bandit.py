"""`holdfast bandit`: the weights of an experiment's arms, learned from what came of decisions."""

import time
from typing import Annotated

import typer
from rich.table import Table

from inference.bandit import Worth
from schemas.errors import InputError
from streams.commands.output import AsJson, epoch_ms, notice, out, print_json
from streams.feedback import read_decisions, read_feedback
from streams.learning import AT_RISK, Order, Proposal, propose, revised
from streams.rules import publish_rules, read_rules
from streams.settings import load_settings

app = typer.Typer(help="Learn which arm to give in which context.", no_args_is_help=True)
AHEAD_MS = 60_000
"""How far ahead of now new weights hold from, so that every instance has heard of them by then."""


@app.callback()
def bandit() -> None:
    """Learn which arm to give in which context."""


@app.command()
def update(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose experiment.")],
    experiment: Annotated[str, typer.Option("--experiment", help="Its name; it has per_decision set.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="Publish the new weights, if nothing speaks against them.")
    ] = False,
    by_plan: Annotated[
        bool, typer.Option("--by-plan", help="Weights for each tier and plan, else for each tier.")
    ] = False,
    floor: Annotated[float, typer.Option("--floor", help="The least share of every arm.")] = 0.05,
    at_risk: Annotated[
        float,
        typer.Option(
            "--at-risk", min=0, max=1, help="Share of the answers that new weights may lose, with 95 %."
        ),
    ] = AT_RISK,
    complaint: Annotated[
        float, typer.Option("--complaint", min=0, help="What a complaint costs, in answers.")
    ] = 5.0,
    left: Annotated[
        float, typer.Option("--left", min=0, help="What it costs when the user leaves, in answers.")
    ] = 0.0,
    offer: Annotated[float, typer.Option("--offer", min=0, help="What an offer costs, in answers.")] = 0.0,
    window_days: Annotated[
        float, typer.Option("--window-days", min=0.01, help="How long after a decision outcomes count.")
    ] = 7.0,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Learn of simulated outcomes, in place of real ones.")
    ] = False,
    since: Annotated[
        int | None,
        typer.Option(
            "--since",
            parser=epoch_ms,
            metavar="TS",
            help="Event time from which the new weights hold; a minute from now where it is left out.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the Monte Carlo.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Learn an experiment's weights by Thompson sampling, judge them on what was logged, and publish them.

    Each arm's weight in a context is the probability that its value there is the greatest, given the records
    and the weights that people set. New weights are judged before anybody gets them: against those that
    people set, on later decisions than they were learned from. What is not proven yet acts in part, so that
    no more than --at-risk is lost. An arm with an offer is taken to the floor unless the offer is certain to
    be worth its cost. Exit status 1 where --apply is refused.

    Example: holdfast bandit update --tenant acme --experiment offers --offer 0.1
    Example: holdfast bandit update --tenant acme --experiment offers --apply --json
    """
    servers = load_settings().bootstrap_servers
    order = Order(
        tenant=tenant,
        experiment=experiment,
        by_plan=by_plan,
        floor=floor,
        at_risk=at_risk,
        worth=Worth(complaint=complaint, left=left, offer=offer),
        window_days=window_days,
        simulated=simulated,
        seed=seed,
    )
    book = read_rules(servers)
    if not book.versions:
        raise InputError("there are no rules yet: publish some with an experiment first")
    found = propose(read_decisions(servers), read_feedback(servers), book, order)
    version = None
    if apply and not found.refused:
        new = revised(book.versions[-1], order, found.after, since or int(time.time() * 1000) + AHEAD_MS)
        publish_rules(servers, [new])
        version = new.version
    if as_json:
        print_json({"proposal": found, "published": version})
    else:
        _tell(found)
        if version is not None:
            out.print(f"published as version {version}")
    if apply and found.refused:
        raise typer.Exit(1)


def _tell(found: Proposal) -> None:
    sort = "simulated" if found.simulated else "real"
    out.print(f"{found.decisions:,} decisions, {found.answered:,} answered ({sort} outcomes)")
    if found.gain is not None:
        table = Table("context", *found.arms, box=None, pad_edge=False)
        for context, weights in sorted(found.after.items()):
            before = found.before[context]
            table.add_row(
                context, *(f"{old:.3f} → {new:.3f}" for old, new in zip(before, weights, strict=True))
            )
        out.print(table)
        gain = found.gain
        out.print(
            f"{found.part:.0%} of the way from the weights that people set to the learned ones"
            + (", which are proven to be better" if gain.least > 0 else "")
        )
        out.print(
            f"gain over the weights that people set, in answers per decision: {gain.dr:+.4f}, 95 % from "
            f"{gain.ci[0]:+.4f} to {gain.ci[1]:+.4f}, with 99 % above {gain.least:+.4f} (doubly robust; "
            f"IPS {gain.ips:+.4f}, SNIPS {gain.snips:+.4f}; {gain.effective:,.0f} effective)"
        )
    for one in found.uplift:
        effect = one.effect
        out.print(
            f"offer {one.arm} against {one.against} at {one.context}: {effect.value:+.4f}, "
            f"95 % from {effect.ci[0]:+.4f} to {effect.ci[1]:+.4f}"
            + ("" if effect.is_certain else " (floor only)")
        )
    if found.refused:
        notice(f"not to be published: {found.refused}")
