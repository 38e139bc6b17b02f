"""Decisions, outcomes and answers for commands that judge them: from the running stack, or from files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from schemas.decision import Decision
from schemas.errors import InputError, UnavailableError
from schemas.outcome import UserOutcome
from schemas.topics import DECISIONS, OUTCOMES, Topic
from streams.commands.output import notice
from streams.consumer import reading
from streams.effects import Published
from streams.settings import load_settings

Decisions = Annotated[
    Path | None,
    typer.Option("--decisions", metavar="FILE", help="What `holdfast decisions --json` printed."),
]
Outcomes = Annotated[
    Path | None, typer.Option("--outcomes", metavar="FILE", help="Outcomes, JSON lines as on their topic.")
]

AnswersFile = Annotated[
    Path | None,
    typer.Option(
        "--answers", metavar="FILE", help="Who left when, in place of silence: Parquet of user, tau, left."
    ),
]


class _Line(Decision, frozen=True, kw_only=True):
    """A decision as `holdfast decisions --json` prints it."""

    append_ms: int


def published(path: Path | None) -> Iterator[Published]:
    """The decisions in `path`, or those on their topic if there is none.

    Raises:
        InputError: the file cannot be read, or a line is no such record.
    """
    if path is not None:
        for line in _lines(path, _Line):
            yield Published(line, line.append_ms)
        return
    decoder = msgspec.json.Decoder(Decision)
    for append_ms, value in _on_topic(DECISIONS):
        yield Published(decoder.decode(value), append_ms)


def reported_outcomes(path: Path | None) -> Iterator[UserOutcome]:
    """The outcomes in `path`, or those on their topic if there is none.

    Raises:
        InputError: the file cannot be read, or a line is no such record.
    """
    if path is not None:
        yield from _lines(path, UserOutcome)
        return
    decoder = msgspec.json.Decoder(UserOutcome)
    for _, value in _on_topic(OUTCOMES):
        yield decoder.decode(value)


def _on_topic(topic: Topic) -> Iterator[tuple[int, bytes]]:
    """Append time (epoch ms) and value of each record; nothing where no stack runs, and a word of it."""
    try:
        with reading(load_settings().bootstrap_servers, topic) as reader:
            for record in reader.present():
                if record.value is not None:
                    yield record.append_ms, record.value
    except UnavailableError as error:
        notice(f"no {topic.name}: {error}")


def _lines(path: Path, of: Any) -> Iterator[Any]:
    """The records of a file of JSON lines.

    Raises:
        InputError: the file cannot be read, or a line is no such record.
    """
    decoder = msgspec.json.Decoder(of)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"line {number} of {path}: {error}") from error
