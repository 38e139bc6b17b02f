"""`holdfast recompute` and `holdfast verify`: the batch answer, and whether the stream gives the same."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from schemas.codec import parse
from schemas.errors import RejectedEvent
from schemas.events import Replay, Tick
from schemas.policy import RuleBook
from schemas.vocabulary import TIERS
from streams import verify as verifying
from streams.batch import Batch, ExpectedDecision
from streams.batch import recompute as recompute_all
from streams.commands.output import AsJson, Dataset, File, Until, day, notice, out, print_json, progress
from streams.commands.sending import Compose, Duplicates, Reader, Seed, Shuffle, send_history
from streams.datasets import read_events
from streams.rulefile import load_rules
from streams.rules import publish_rules, read_rules
from streams.sending import Disorder
from streams.settings import Settings, load_settings
from streams.tenants import load_tenants

DIFFERENCES_SHOWN = 50
RulesFile = Annotated[
    Path | None,
    typer.Option("--rules", help="File of the rules (YAML or JSON): one version, or a list of them."),
]


def recompute(
    file: File,
    until: Until,
    rules: RulesFile = None,
    compose: Compose = False,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Work out in one go what the stream must decide on the events of FILE, up to --until. Needs no server.

    Declines and rises: a risk crossing depends on a model and on what Redis held, too. The events are taken
    as history, so all is held by the replay unless --compose leaves it to the rules.

    With --json one decision a line, in the order of time; without it a summary.

    Example: holdfast recompute events.jsonl --until 2024-12-31 --rules rules.yaml --compose
    """
    book = RuleBook() if rules is None else RuleBook(load_rules(rules))
    replay = Replay(until=until, compose=compose)
    batch = _recomputed(load_settings(), lambda: read_events(file, dataset), replay, book)
    if as_json:
        for decision in batch.decisions:
            print_json(decision)
        return
    out.print(
        f"{batch.accepted:,} events accepted, {batch.duplicates:,} duplicates, "
        f"{len(batch.rejected):,} rejected; {len(batch.decisions):,} decisions up to {day(until)}"
    )
    out.print(_counts(batch.decisions))
    out.print(_by_rule(Counter(str(one.held_by or one.outcome) for one in batch.decisions)))
    for refused in batch.rejected[:DIFFERENCES_SHOWN]:
        out.print(f"record {refused.number} rejected: {refused.field} {refused.reason}", markup=False)


def verify(
    file: File,
    until: Until,
    rules: RulesFile = None,
    compose: Compose = False,
    duplicates: Duplicates = 0.0,
    shuffle: Shuffle = False,
    seed: Seed = 0,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Send FILE as history through an empty stack, and compare all of the stream's answer with the batch's.

    Compared are every decline and rise, field by field with what the rules said of it, every rejected record,
    and the last 30 days of each user in Redis. Prints the counts and every difference; the exit status is 1
    if there is one. A Flink job that is killed meanwhile may be brought back with `holdfast up`: its
    decisions must stay the same.

    With --rules these are published first. All is held by the replay unless --compose leaves it to the rules.

    Example: holdfast down --wipe; holdfast up; holdfast verify events.jsonl --until 2024-12-31
    Example: holdfast verify events.jsonl --until 2024-12-31 --rules rules.yaml --compose
    """
    settings = load_settings()

    def read() -> Iterator[bytes]:
        return read_events(file, dataset)

    read()  # what is wrong with the files is said first
    versions = () if rules is None else load_rules(rules)
    verifying.require_empty(settings.bootstrap_servers)
    # The job reads them when the first event comes, so it has them before event time gets anywhere.
    publish_rules(settings.bootstrap_servers, versions)
    book = read_rules(settings.bootstrap_servers)
    disorder = Disorder(
        duplicates=duplicates, shuffle=shuffle, seed=seed, bound_ms=settings.watermark_bound_ms
    )
    sent, _ = send_history(settings, read, until, compose, disorder)
    notice(f"sent {sent.events:,} events and {sent.bad:,} bad records in {sent.elapsed_s:.1f} s")
    with progress() as shown:
        bar = shown.add_task("waiting", total=None)

        def tell(text: str) -> None:
            shown.update(bar, description=text)
            if shown.disable:
                notice(text)

        verifying.settle(settings, until, tell)
    published = list(verifying.published(settings.bootstrap_servers))
    keys: set[str] = set()
    batch = _recomputed(
        settings,
        lambda: _noted(read(), keys),
        Replay(until=until, compose=compose),
        book,
        verifying.risk_scripts(published),
    )
    verdict = verifying.Verdict()
    notice(f"the batch has {len(batch.decisions):,} decisions; comparing")
    verifying.compare_decisions(published, batch, verdict)
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


def _recomputed(
    settings: Settings,
    read: Reader,
    replay: Replay,
    book: RuleBook,
    counted: Mapping[str, Sequence[int]] | None = None,
) -> Batch:
    tenants = load_tenants(settings.tenants_file)
    with progress() as shown:
        bar = shown.add_task("recomputing", total=None)

        def read_on() -> Iterator[bytes]:
            for number, value in enumerate(read(), 1):
                yield value
                if number % 10_000 == 0:
                    shown.update(bar, completed=number)

        return recompute_all(
            read_on(), replay.until, replay=replay, book=book, tenants=tenants, counted=counted
        )


def _counts(decisions: Iterable[ExpectedDecision]) -> Table:
    """How many decisions lead to each tier, by cause."""
    counts = Counter((decision.to_tier, decision.cause) for decision in decisions)
    causes = sorted({cause for _, cause in counts})
    table = Table("to tier", *causes, box=None, pad_edge=False)
    for tier in TIERS:
        table.add_row(tier, *(f"{counts[tier, cause]:,}" for cause in causes))
    return table


def _by_rule(counts: Mapping[str, int]) -> str:
    return "by rule:  " + ", ".join(f"{rule} {n:,}" for rule, n in sorted(counts.items()))


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
    out.print(_by_rule(verdict.by_rule))
    for difference in found[:DIFFERENCES_SHOWN]:
        out.print(f"{difference.what}: {difference.where}", markup=False, soft_wrap=True)
        out.print(f"  stream: {difference.stream}", markup=False, soft_wrap=True)
        out.print(f"  batch:  {difference.batch}", markup=False, soft_wrap=True)
    if len(found) > DIFFERENCES_SHOWN:
        out.print(f"… and {len(found) - DIFFERENCES_SHOWN:,} more; --json has all of them")
    colour, text = ("red", f"{len(found):,} differences") if found else ("green", "no difference")
    out.print(f"[bold {colour}]{text}[/]")
