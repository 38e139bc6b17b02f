"""How commands speak: tables and progress for people, JSON for machines, one line for an error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from schemas.errors import HoldfastError, InputError
from schemas.events import LAST_TS_MS

out = Console(highlight=False)
"""Results."""
err = Console(stderr=True, highlight=False)
"""Progress and errors, so that results can be piped."""


def epoch_ms(text: str) -> int:
    """Event time as a person gives it: epoch ms, or an ISO 8601 date or time (UTC unless it says otherwise).

    >>> epoch_ms("1700000000000"), epoch_ms("2023-11-14"), epoch_ms("2023-11-14T22:13:20+08:00")
    (1700000000000, 1699920000000, 1699971200000)
    """
    try:
        if text.isascii() and text.isdigit():
            value = int(text)
        else:
            time = datetime.fromisoformat(text)
            value = round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        value = -1
    if not 0 <= value <= LAST_TS_MS:
        raise typer.BadParameter(f"{text!r} is no time: give epoch ms, or a date such as 2024-12-31T18:00")
    return value


def day(ts_ms: int) -> str:
    """A time for people, to the second.

    >>> day(1_700_000_000_000)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else, on stdout.")]
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="Events: JSONL, Parquet, or a dataset that holdfast knows.")
]
_UNTIL = typer.Option(
    "--until",
    parser=epoch_ms,
    metavar="TS",
    help="Where event time ends: epoch ms, or an ISO date or time in UTC.",
)
Until = Annotated[int, _UNTIL]
UntilIfGiven = Annotated[int | None, _UNTIL]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset", metavar="NAME", help="The dataset that FILE is, where its columns leave it open."
    ),
]


def print_json(value: Any) -> None:
    """One object on one line, and at once, since a pipe may wait for it."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def keep(folder: Path, name: str, found: Any, draw: Callable[[Path], None] | None = None) -> None:
    """Write `found` to `folder` as NAME.json, beside it the picture that `draw` makes, NAME.svg, and say so.

    Raises:
        InputError: nothing can be written there.
    """
    written = [folder / f"{name}.json"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written[0].write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        if draw is not None:
            written.append(folder / f"{name}.svg")
            draw(written[1])
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror or error}") from error
    notice(f"written: {', '.join(map(str, written))}")


def fail(error: HoldfastError | str) -> None:
    """One line on stderr."""
    err.print(f"[bold red]holdfast:[/] {_escaped(str(error))}", soft_wrap=True)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("[", r"\[")


@contextmanager
def progress(transient: bool = True) -> Iterator[Progress]:
    """A progress bar on stderr for long work; silent where nobody is looking."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=transient,
        disable=not err.is_terminal,
    ) as shown:
        yield shown


def notice(text: str) -> None:
    """A line about what goes on, on stderr."""
    err.print(f"[dim]{_escaped(text)}[/]", soft_wrap=True)
