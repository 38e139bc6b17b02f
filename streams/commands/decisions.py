"""`holdfast decisions`: what was decided, as it is on the topic."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from schemas.decision import Decision
from schemas.risk import Assessment
from schemas.topics import DECISIONS
from schemas.vocabulary import Locale
from streams.commands.output import AsJson, day, err, out, print_json
from streams.consumer import Record, reading
from streams.demo import crossed
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
    as_json: AsJson = False,
) -> None:
    """Print the decisions: every crossing of a tier or of the risk's threshold, what was sent or held it.

    Without --follow those that are on the topic now; with it those that come. With --json one object a line,
    as on the topic, with `append_ms`, the broker's time of publication.

    Example: holdfast decisions --json | jq -r 'select(.outcome == "sent") | .script.text'
    Example: holdfast decisions --json | jq 'select(.cause == "risk") | .risk'
    Example: holdfast decisions --follow --user acme/u1
    """
    shown = 0
    try:
        for record in _records(follow, from_beginning or not follow):
            if record.value is None or (user is not None and record.key != user.encode()):
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


def _records(follow: bool, from_beginning: bool) -> Iterator[Record]:
    with reading(load_settings().bootstrap_servers, DECISIONS, from_beginning) as reader:
        if from_beginning:
            yield from reader.present()
        while follow:
            yield from reader.poll()
