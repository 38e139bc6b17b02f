"""`holdfast send`: a file's events to the topics."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import typer

from schemas.errors import InputError
from schemas.events import Replay
from streams.commands.output import (
    AsJson,
    Dataset,
    File,
    UntilIfGiven,
    day,
    notice,
    out,
    print_json,
    progress,
)
from streams.datasets import read_events
from streams.producer import Sent
from streams.producer import send as send_records
from streams.sending import Disorder, Span, in_order, outgoing, span
from streams.settings import Settings, load_settings


def _speed(text: str) -> float:
    """Times as fast as the events' own times; 0 is flat out."""
    if text in ("flat", "real"):
        return 0.0 if text == "flat" else 1.0
    try:
        factor = float(text.removeprefix("x"))
    except ValueError:
        factor = -1.0
    if not 0 < factor < float("inf"):
        raise typer.BadParameter(f"{text!r} is no speed: give real, flat, or a factor such as x60")
    return factor


Duplicates = Annotated[
    float, typer.Option("--duplicates", min=0.0, max=1.0, help="Share of the events to send twice, as 0.01.")
]
Shuffle = Annotated[bool, typer.Option("--shuffle", help="Send out of order, within the watermark bound.")]
Seed = Annotated[int, typer.Option("--seed", help="Makes --duplicates and --shuffle repeatable.")]
Compose = Annotated[bool, typer.Option("--compose", help="Write scripts for the past all the same.")]


def send(
    file: File,
    speed: Annotated[
        float,
        typer.Option(
            "--speed",
            parser=_speed,
            metavar="real|flat|xN",
            help="Keep the spacing of the events' times, N times as fast, or flat out.",
        ),
    ] = "flat",  # type: ignore[assignment]  # typer passes the default through the parser, too
    history: Annotated[
        bool, typer.Option("--history", help="The past: no time bounds, and nobody is written to.")
    ] = False,
    compose: Compose = False,
    until: UntilIfGiven = None,
    dataset: Dataset = None,
    duplicates: Duplicates = 0.0,
    shuffle: Shuffle = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Send the events of FILE to their topics.

    Live events (without --history) must have happened in the last 30 days, and no more than 5 minutes ahead:
    others end in events.rejected. With --history, event time is carried to --until (or the last event), as
    fast as the stream can follow, and every decision is held back (held_by: replay) unless --compose asks
    for scripts. Lines that are no events are sent as they are, for events.rejected to show.

    Example: holdfast send events.jsonl --history --until 2024-12-31
    Example: holdfast send today.jsonl --speed x60
    """
    if not history and (compose or until is not None):
        raise typer.BadParameter("--compose and --until belong to --history")
    settings = load_settings()
    disorder = Disorder(
        duplicates=duplicates, shuffle=shuffle, seed=seed, bound_ms=settings.watermark_bound_ms
    )
    if history:
        sent, end = send_history(
            settings, lambda: read_events(file, dataset), until, compose, disorder, speed
        )
    else:
        sent, end = _send_live(settings, lambda: read_events(file, dataset), disorder, speed), None
    rate = round(sent.events / sent.elapsed_s) if sent.elapsed_s else None
    if as_json:
        print_json(
            {"events": sent.events, "bad": sent.bad, "elapsed_s": sent.elapsed_s, "until": end, "rate": rate}
        )
        return
    out.print(f"sent {sent.events:,} events in {sent.elapsed_s:.1f} s" + (f", {rate:,}/s" if rate else ""))
    if sent.bad:
        out.print(f"{sent.bad:,} of the records are no events: events.rejected says why")
    if end is not None:
        out.print(f"event time is carried to {day(end)}")


Reader = Callable[[], Iterator[bytes]]


def send_history(
    settings: Settings,
    read: Reader,
    until: int | None,
    compose: bool,
    disorder: Disorder,
    speed: float = 0.0,
) -> tuple[Sent, int]:
    """Send what `read` gives as history up to `until`, or else its last event; what was sent, and the end."""
    seen = _looked_through(read, until)
    end = seen.last_ms if until is None else until
    if end is None:
        raise InputError("the file has no event with a time: there is nothing to send as history")
    values: Iterable[bytes] = read()
    if not seen.in_order:
        notice("the file is not in the order of time: sorting it in memory")
        values = in_order(values)
    records = outgoing(values, Replay(until=end, compose=compose), disorder)
    with progress() as shown:
        bar = shown.add_task("sending", total=seen.records)
        sent = asyncio.run(
            send_records(
                settings.bootstrap_servers,
                records,
                speed or None,
                lambda sent: shown.update(bar, completed=sent.events + sent.bad),
            )
        )
    return sent, end


def _looked_through(read: Reader, until: int | None) -> Span:
    with progress() as shown:
        bar = shown.add_task("reading", total=None)

        def counted() -> Iterator[bytes]:
            for number, value in enumerate(read(), 1):
                yield value
                if number % 10_000 == 0:
                    shown.update(bar, completed=number)

        return span(counted(), until)


def _send_live(settings: Settings, read: Reader, disorder: Disorder, speed: float) -> Sent:
    with progress() as shown:
        bar = shown.add_task("sending", total=None)
        return asyncio.run(
            send_records(
                settings.bootstrap_servers,
                outgoing(read(), None, disorder),
                speed or None,
                lambda sent: shown.update(bar, completed=sent.events + sent.bad),
            )
        )
