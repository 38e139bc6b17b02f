"""`holdfast outcomes`: what came of decisions, sent in and told in figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from kafka import KafkaProducer
from kafka.errors import KafkaError
from rich.table import Table

from schemas.codec import encode, parse_outcome
from schemas.errors import InputError, RejectedEvent, UnavailableError
from schemas.outcome import UserOutcome
from schemas.topics import OUTCOMES
from streams.commands.output import AsJson, out, print_json
from streams.consumer import reading
from streams.feedback import read_decisions, read_feedback
from streams.reporting import Group, Share, report
from streams.settings import load_settings

app = typer.Typer(help="What came of decisions.", no_args_is_help=True)
_SEND_S = 30.0


@app.command()
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Outcomes, JSON lines.")],
    as_json: AsJson = False,
) -> None:
    """Send outcomes to their topic. All lines are checked first: nothing is sent of a file with a fault.

    An outcome that is sent again counts once, by its outcome_id.

    Example: holdfast outcomes send outcomes.jsonl
    """
    sent = sum(1 for _ in outcomes_of(file))
    servers = load_settings().bootstrap_servers
    with reading(servers, OUTCOMES, from_beginning=False):
        pass  # the topic is there: a producer might create it with other settings
    try:
        producer = KafkaProducer(bootstrap_servers=servers.split(","), acks="all")
        try:
            under_way = [
                producer.send(OUTCOMES.name, key=one.key.encode(), value=encode(one))
                for one in outcomes_of(file)
            ]
            for each in under_way:
                each.get(timeout=_SEND_S)
        finally:
            producer.close()
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {servers} does not take the outcomes: {error}") from error
    if as_json:
        print_json({"sent": sent})
    else:
        out.print(f"{sent:,} outcomes sent")


def outcomes_of(path: Path) -> Iterator[UserOutcome]:
    """The outcomes in a file of JSON lines.

    Raises:
        InputError: it cannot be read, or a line is no outcome; the text names line, field and problem.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):  # noqa: B007  # named where it fails
                if line.strip():
                    yield parse_outcome(line)
    except RejectedEvent as error:
        raise InputError(f"{path} line {number}: {error.field} {error.reason}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


@app.command("report")
def tell(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of this tenant only.")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Tell of simulated outcomes, in place of real ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell how users took what was sent, by tier, reason, arm and model, with intervals of 95 %.

    The uplift is the share of conversions less that of the users held out at the same tier. Real and
    simulated outcomes are never put together.

    Example: holdfast outcomes report --tenant acme
    Example: holdfast outcomes report --json | jq '.groups[] | select(.complaint.value > 0.01)'
    """
    servers = load_settings().bootstrap_servers
    decisions = [one for one in read_decisions(servers) if tenant in (None, one.tenant)]
    groups = report(decisions, read_feedback(servers), simulated)
    if as_json:
        print_json({"simulated": simulated, "groups": groups})
        return
    table = Table(
        *("tier", "reason", "arm", "model", "sent", "answered", "converted", "complained", "uplift"),
        box=None,
        pad_edge=False,
    )
    for one in groups:
        table.add_row(*_row(one))
    out.print(table)
    out.print(f"[dim]{'simulated' if simulated else 'real'} outcomes; shares in %, with 95 %[/]")


def _row(one: Group) -> tuple[str, ...]:
    uplift = "no holdout"
    if one.uplift is not None and one.uplift_ci is not None:
        uplift = f"{one.uplift:+.1%} ({one.uplift_ci[0]:+.1%} … {one.uplift_ci[1]:+.1%})"
    return (
        one.tier,
        one.reason or "–",
        one.arm or "–",
        one.model or "–",
        f"{one.sent:,}",
        *(_share(share) for share in (one.response, one.conversion, one.complaint)),
        uplift,
    )


def _share(share: Share) -> str:
    return f"{100 * share.value:.1f} ({100 * share.ci[0]:.1f} … {100 * share.ci[1]:.1f})"
