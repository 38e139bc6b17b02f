"""`holdfast decisions`: what was decided, as it is on the topic."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from schemas.decision import Decision
from schemas.risk import Assessment
from schemas.topics import DECISIONS
from schemas.vocabulary import Locale
from streams.commands.output import AsJson, day, epoch_ms, err, out, print_json
from streams.consumer import Record, reading
from streams.demo import crossed
from streams.finding import finding
from streams.settings import load_settings

_decoder = msgspec.json.Decoder(Decision)
_COLOURS = ("green", "cyan", "yellow", "magenta", "red")


def decisions(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for those to come, until Ctrl-C.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="With --follow: begin with those that are there already.")
    ] = False,
    user: Annotated[
        str | None, typer.Option("--user", metavar="TENANT/USER", help="Those of this user only.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="Those of its users.")
    ] = None,
    since: Annotated[
        int | None,
        typer.Option("--since", parser=epoch_ms, metavar="TIME", help="Those published since then."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the decisions: every crossing of a tier or of the risk's threshold, what was sent or held it.

    Without --follow those that are on the topic now; with it those that come. With --json one object a line,
    as on the topic, with `append_ms`, the broker's time of publication. With --since only the part of the
    topic from that time on is read; together with --follow it goes on with those that come.

    Example: holdfast decisions --json | jq -r 'select(.outcome == "sent") | .script.text'
    Example: holdfast decisions --json | jq 'select(.cause == "risk") | .risk'
    Example: holdfast decisions --follow --user acme/u1
    Example: holdfast decisions --since 2026-01-31T18:00 --tenant acme --json
    """
    shown = 0
    try:
        for record in _records(follow, from_beginning or not follow, since):
            if record.value is None or not _is_of(record.key, user, tenant):
                continue
            shown += 1
            if as_json:
                print_json(msgspec.json.decode(record.value) | {"append_ms": record.append_ms})
            else:
                out.print(line(_decoder.decode(record.value)), soft_wrap=True)
    except KeyboardInterrupt:
        pass
    if not shown and not as_json:
        err.print("no decision yet" if user is None else f"no decision on {user} yet")


def line(decision: Decision) -> str:
    """A decision on one line, in rich's markup."""
    text = (
        f"{day(decision.at)}  {_safe(f'{decision.tenant}/{decision.user_id}')}  {decision.cause}  "
        f"[{colour(decision)}]{crossed(decision)}[/]  {decision.activity:.1f} %  "
    )
    if decision.risk is not None:
        text += f"[dim]{_safe(why(decision.risk))}[/]  "
    if decision.script is None:
        return text + f"[dim]{decision.outcome}, {decision.held_by}[/]"
    script = decision.script
    outcome = decision.outcome if decision.held_by is None else f"{decision.outcome}, {decision.held_by}"
    return text + f"[bold]{outcome}[/] ({script.rung}, {script.model}): {_safe(script.text)}"


def why(risk: Assessment) -> str:
    """What a user was assessed at, and what raised the risk."""
    return f"{risk.trigger}: {', '.join(risk.words.get(Locale.EN, ()))}"


def colour(decision: Decision) -> str:
    """The colour of the tier that was reached."""
    return _COLOURS[decision.to_tier.rank]


def _safe(text: str) -> str:
    return text.replace("[", r"\[")


def _is_of(key: bytes | None, user: str | None, tenant: str | None) -> bool:
    """Whether a record's key is the user's and of the tenant, where they are asked for."""
    is_tenant_s = tenant is None or (key or b"").startswith(f"{tenant}/".encode())
    return is_tenant_s and (user is None or key == user.encode())


def _records(follow: bool, from_beginning: bool, since_ms: int | None) -> Iterator[Record]:
    servers = load_settings().bootstrap_servers
    if since_ms is not None and not follow:
        with finding(servers) as finder:
            yield from finder.between(DECISIONS, since_ms)
        return
    with reading(servers, DECISIONS, from_beginning and since_ms is None) as reader:
        if since_ms is not None:
            reader.rewind(since_ms)
        yield from reader.present()
        while follow:
            yield from reader.poll()
