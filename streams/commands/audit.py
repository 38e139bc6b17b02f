"""`holdfast audit`: a tenant's decisions as a trail that shows if anything was removed or altered."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from schemas.errors import InputError
from schemas.topics import DECISIONS
from streams import audit as trails
from streams.commands.output import AsJson, day, epoch_ms, notice, out, print_json
from streams.consumer import reading
from streams.rules import read_rules
from streams.settings import load_settings


def audit(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Whose decisions.")] = None,
    since: Annotated[
        int,
        typer.Option(
            "--since", parser=epoch_ms, metavar="TS", help="Crossings from then on: epoch ms or an ISO date."
        ),
    ] = "0",  # type: ignore[assignment]  # typer passes the default through the parser, too
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write there instead of to stdout.")
    ] = None,
    checked: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Check a trail; nothing else is done.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export all decisions of a tenant, or check an export: lines of JSON, bound to each other by hashes.

    Each line has the whole decision: what it was based on, the version of the rules and how they were
    applied, the model and its version, the text. The first line has the tenant's rules in all their versions.
    --check names the first line that was altered, removed, put in or moved, and its exit status is 1 then.
    Keep the hash of the last line apart from the file: a trail that is written anew as a whole has another.

    Example: holdfast audit --tenant bank --since 2026-01-01 --out bank.jsonl
    Example: holdfast audit --check bank.jsonl
    """
    if (tenant is None) == (checked is None):
        raise typer.BadParameter("give --tenant to export a trail, or --check FILE to check one")
    if checked is not None:
        _tell(trails.check(checked), as_json)
        return
    assert tenant is not None  # just seen
    servers = load_settings().bootstrap_servers
    book = read_rules(servers)
    with reading(servers, DECISIONS) as reader:
        lines = trails.lines(trails.entries(reader.present(), tenant, since, book))
        if to is None:
            for line in lines:
                sys.stdout.buffer.write(line + b"\n")
            sys.stdout.flush()
            return
        try:
            with to.open("wb") as file:
                file.writelines(line + b"\n" for line in lines)
        except OSError as error:
            raise InputError(f"cannot write {to}: {error.strerror}") from error
    _tell(trails.check(to), as_json)
    notice(f"written: {to}")


def _tell(trail: trails.Trail, as_json: bool) -> None:
    if as_json:
        print_json(trail)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("tenant", trail.tenant)
    table.add_row("crossings since", day(trail.since))
    table.add_row("decisions", f"{trail.decisions:,}")
    out.print(table)
    out.print(f"hash of the last line  {trail.last_hash}", soft_wrap=True)  # whole: it is to be kept
    out.print("[green]whole: no line was altered, removed, put in or moved[/]")
