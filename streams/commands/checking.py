"""`holdfast recompute` and `holdfast verify`: the batch answer, and whether the stream gives the same."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress

import typer
from rich.table import Table

from schemas.codec import parse
from schemas.errors import RejectedEvent
from schemas.events import Replay, Tick
from schemas.vocabulary import TIERS
from streams import verify as verifying
from streams.batch import Batch, ExpectedDecision
from streams.batch import recompute as recompute_all
from streams.commands.output import AsJson, Dataset, File, Until, day, notice, out, print_json, progress
from streams.commands.sending import Duplicates, Reader, Seed, Shuffle, send_history
from streams.datasets import read_events
from streams.sending import Disorder
from streams.settings import load_settings

GROUPS = ("holdfast-decisions", "holdfast-sequences")
"""The consumer groups of the Flink jobs."""
DIFFERENCES_SHOWN = 50


def recompute(file: File, until: Until, dataset: Dataset = None, as_json: AsJson = False) -> None:
    """Work out in one go what the stream must decide on the events of FILE, up to --until. Needs no server.

    Declines and rises: a risk crossing depends on a model and on what Redis held, too.

    With --json one decision a line, in the order of time; without it a summary.

    Example: holdfast recompute events.jsonl --until 2024-12-31
    """
    batch = _recomputed(lambda: read_events(file, dataset), until)
    if as_json:
        for decision in batch.decisions:
            print_json(decision)
        return
    out.print(
        f"{batch.accepted:,} events accepted, {batch.duplicates:,} duplicates, "
        f"{len(batch.rejected):,} rejected; {len(batch.decisions):,} decisions up to {day(until)}"
    )
    out.print(_counts(batch.decisions))
    for refused in batch.rejected[:DIFFERENCES_SHOWN]:
        out.print(f"record {refused.number} rejected: {refused.field} {refused.reason}", markup=False)


def verify(
    file: File,
    until: Until,
    duplicates: Duplicates = 0.0,
    shuffle: Shuffle = False,
    seed: Seed = 0,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Send FILE as history through an empty stack, and compare all of the stream's answer with the batch's.

    Compared are every decline and rise, field by field, every rejected record, and the last 30 days of each
    user in Redis. Prints the counts and every difference; the exit status is 1 if there is one. A Flink job
    that is killed meanwhile may be brought back with `holdfast up`: its decisions must stay the same.

    Example: holdfast down --wipe; holdfast up; holdfast verify events.jsonl --until 2024-12-31
    """
    settings = load_settings()

    def read() -> Iterator[bytes]:
        return read_events(file, dataset)

    read()  # what is wrong with the file is said first
    verifying.require_empty(settings.bootstrap_servers)
    disorder = Disorder(
        duplicates=duplicates, shuffle=shuffle, seed=seed, bound_ms=settings.watermark_bound_ms
    )
    sent, _ = send_history(settings, read, until, False, disorder)
    notice(f"sent {sent.events:,} events and {sent.bad:,} bad records in {sent.elapsed_s:.1f} s")
    keys: set[str] = set()
    batch = _recomputed(lambda: _noted(read(), keys), until)
    notice(f"the batch has {len(batch.decisions):,} decisions; waiting for the stream")
    with progress() as shown:
        bar = shown.add_task("waiting", total=None)

        def tell(text: str) -> None:
            shown.update(bar, description=text)
            if shown.disable:
                notice(text)

        verifying.settle(settings, GROUPS, until, tell)
    verdict = verifying.Verdict()
    notice("comparing")
    verifying.compare_decisions(verifying.published(settings.bootstrap_servers), batch, verdict)
    verifying.compare_rejected(verifying.dead_letters(settings.bootstrap_servers), batch, verdict)
    with progress() as shown:
        bar = shown.add_task("comparing sequences", total=len(keys))
        asyncio.run(
            verifying.compare_sequences(
                settings.redis_url, sorted(keys), batch, verdict, lambda: shown.advance(bar)
            )
        )
    _report(verdict, batch, sent.events, as_json)
    if verdict.differences:
        raise typer.Exit(1)


def _noted(values: Iterable[bytes], keys: set[str]) -> Iterator[bytes]:
    """`values`, while the keys of those that are events are added to `keys`."""
    for value in values:
        with suppress(RejectedEvent):
            event = parse(value)
            if not isinstance(event, Tick):
                keys.add(event.key)
        yield value


def _recomputed(read: Reader, until: int) -> Batch:
    with progress() as shown:
        bar = shown.add_task("recomputing", total=None)

        def counted() -> Iterator[bytes]:
            for number, value in enumerate(read(), 1):
                yield value
                if number % 10_000 == 0:
                    shown.update(bar, completed=number)

        return recompute_all(counted(), until, replay=Replay(until=until))


def _counts(decisions: Iterable[ExpectedDecision]) -> Table:
    """How many decisions lead to each tier, by cause."""
    counts = Counter((decision.to_tier, decision.cause) for decision in decisions)
    causes = sorted({cause for _, cause in counts})
    table = Table("to tier", *causes, box=None, pad_edge=False)
    for tier in TIERS:
        table.add_row(tier, *(f"{counts[tier, cause]:,}" for cause in causes))
    return table


def _report(verdict: verifying.Verdict, batch: Batch, sent: int, as_json: bool) -> None:
    found = verdict.differences
    if as_json:
        print_json({"sent": sent, "expected": len(batch.decisions), "verdict": verdict, "equal": not found})
        return
    out.print(
        f"{sent:,} events sent, {verdict.decisions:,} decisions ({verdict.repeated:,} repeated), "
        f"{verdict.rejected:,} rejected records; in Redis {verdict.users:,} users, {verdict.events:,} events"
    )
    out.print("by tier:  " + ", ".join(f"{tier} {verdict.by_tier.get(tier, 0):,}" for tier in TIERS))
    out.print("by cause: " + ", ".join(f"{cause} {n:,}" for cause, n in sorted(verdict.by_cause.items())))
    for difference in found[:DIFFERENCES_SHOWN]:
        out.print(f"{difference.what}: {difference.where}", markup=False, soft_wrap=True)
        out.print(f"  stream: {difference.stream}", markup=False, soft_wrap=True)
        out.print(f"  batch:  {difference.batch}", markup=False, soft_wrap=True)
    if len(found) > DIFFERENCES_SHOWN:
        out.print(f"… and {len(found) - DIFFERENCES_SHOWN:,} more; --json has all of them")
    colour, text = ("red", f"{len(found):,} differences") if found else ("green", "no difference")
    out.print(f"[bold {colour}]{text}[/]")
