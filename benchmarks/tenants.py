"""`python -m benchmarks tenants`: the two example tenants beside each other, from events to texts and audit.

Users of both keep a habit for six weeks, and then stop. Everything is decided under the example files of
docs/tenants.md, worded by whom they allow to write, and exported as a trail that is checked.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec import Struct
from rich.markup import escape
from rich.table import Table

from benchmarks.simulation.command import COMPONENTS
from benchmarks.simulation.engines import Engine, OnStack
from benchmarks.stack import own_stack
from schemas.decision import Decision
from schemas.events import Account, Event, Login, Replay, Usage
from schemas.policy import RuleBook, Rules
from schemas.topics import DECISIONS
from schemas.vocabulary import Cause, Locale
from streams import audit
from streams.commands.output import AsJson, out, print_json
from streams.commands.stack import started_up
from streams.consumer import reading
from streams.rulefile import load_rules
from streams.settings import load_settings
from streams.tenants import load_tenants

FOLDER = Path(__file__).parents[1] / "docs" / "examples" / "tenants"
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
HABIT_DAYS, SILENT_DAYS = 42, 14
_HOURS = (2, 5, 9)
"""Of the day, UTC: in the morning, at noon and in the afternoon of Shanghai."""
_FEATURES = {"ledgerline": ("transfer", "identity_check"), "stallway": ("orders", "campaigns")}
_NAMES = {Locale.EN: "Ann Lee", Locale.ZH: "王芳"}
_SHOWN = 2


class OfTenant(Struct, frozen=True, kw_only=True):
    """What became of a tenant's users; `held_by` counts what was held, `rungs` who worded what was worded."""

    tenant: str
    crossings: dict[Cause, int]
    outcomes: dict[str, int]
    held_by: dict[str, int]
    rungs: dict[str, int]
    texts: list[str]
    trail: audit.Trail


class Report(Struct, frozen=True, kw_only=True):
    """All tenants; `differing` are decisions that the operators in this process would have made otherwise."""

    events: int
    differing: int
    tenants: list[OfTenant]


def tenants(
    users: Annotated[int, typer.Option("--users", min=2, help="Of each tenant.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Run the fintech and the shop of docs/tenants.md on a stack of their own: decisions, texts, audit.

    Exit status 1 where a trail is not whole, or a decision is not what it should be.

    Example: python -m benchmarks tenants
    """
    file = FOLDER / "tenants.yaml"
    (rules,) = load_rules(FOLDER / "rules.yaml")
    settings = load_settings()
    settings = msgspec.structs.replace(settings, tenants_file=file, budget_ms=60_000, draft_lead_ms=0)
    with own_stack(settings) as stack:
        started = started_up(stack, COMPONENTS)
        with reading(started.bootstrap_servers, DECISIONS, from_beginning=False) as reader:
            engine = OnStack(started, reader, load_tenants(file))
            try:
                events, decisions = lived(engine, rules, users)
            finally:
                engine.close()
        with reading(started.bootstrap_servers, DECISIONS) as reader:
            records = list(reader.present())
    book = RuleBook([rules])
    found = Report(
        events=events,
        differing=engine.differing,
        tenants=[
            of_tenant(name, decisions, trail(audit.lines(audit.entries(records, name, 0, book))))
            for name in rules.tenants
        ],
    )
    if as_json:
        print_json(found)
    else:
        _show(found)
    if found.differing:
        raise typer.Exit(1)


def lived(engine: Engine, rules: Rules, users: int) -> tuple[int, list[Decision]]:
    """The weeks of all users on `engine`: how many events they sent, and what was decided."""
    engine.publish(rules)
    begin_ms, days = rules.since, HABIT_DAYS + SILENT_DAYS
    replay = Replay(until=begin_ms + days * DAY_MS, compose=True)
    sent, decisions = 0, list[Decision]()
    for day in range(days):
        events = list(
            chain.from_iterable(
                _day(tenant, number, day, begin_ms, replay)
                for tenant in rules.tenants
                for number in range(users)
            )
        )
        events.sort(key=lambda one: one.ts)
        sent += len(events)
        decisions += engine.day(events, begin_ms + (day + 1) * DAY_MS, replay)
    return sent, decisions


def of_tenant(tenant: str, decisions: Sequence[Decision], whole: audit.Trail) -> OfTenant:
    """What became of the users of `tenant`."""
    ours = [one for one in decisions if one.tenant == tenant]
    worded = {one.script.text: one for one in ours if one.script is not None}
    return OfTenant(
        tenant=tenant,
        crossings=dict(Counter(one.cause for one in ours)),
        outcomes=dict(Counter(one.outcome.value for one in ours)),
        held_by=dict(Counter(one.held_by.value for one in ours if one.held_by is not None)),
        rungs=dict(Counter(one.script.rung.value for one in ours if one.script is not None)),
        texts=list(worded)[:_SHOWN],
        trail=whole,
    )


def trail(lines: Iterable[bytes]) -> audit.Trail:
    """What `holdfast audit --check` says of these lines."""
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        return audit.check(Path(file.name))


def _day(tenant: str, number: int, day: int, begin_ms: int, replay: Replay) -> Iterator[Event]:
    """A user's day: three visits, each with a feature used. Of every third of the fintech's the last fail."""
    user, locale = f"{tenant}-{number}", list(Locale)[number % len(Locale)]
    if day == 0:
        yield Account(
            event_id=f"{user}-account", tenant=tenant, user_id=user, ts=begin_ms, replay=replay,
            name=_NAMES[locale], locale=str(locale), time_zone="Asia/Shanghai", plan="pro",
        )  # fmt: skip
    fails = tenant == "ledgerline" and number % 3 == 0 and day == HABIT_DAYS - 1
    for hour in _HOURS if day < HABIT_DAYS else ():
        ts, at = begin_ms + day * DAY_MS + hour * HOUR_MS + number * 1000, f"{user}-{day}-{hour}"
        yield Login(event_id=at, tenant=tenant, user_id=user, ts=ts, replay=replay)
        yield Usage(
            event_id=f"{at}-used", tenant=tenant, user_id=user, ts=ts + 1000, replay=replay,
            feature=_FEATURES[tenant][fails], outcome="error" if fails else "ok",
        )  # fmt: skip


def _show(found: Report) -> None:
    out.print(
        f"{found.events:,} events; {found.differing} decisions differ from the operators' in this process"
    )
    for one in found.tenants:
        table = Table(title=one.tenant, box=None, show_header=False, pad_edge=False, title_justify="left")
        for name in ("crossings", "outcomes", "held_by", "rungs"):
            counts: dict[str, int] = getattr(one, name)
            told = ", ".join(f"{many} {what}" for what, many in sorted(counts.items()))
            table.add_row(name.replace("_", " "), told or "none")
        table.add_row(
            "audit", f"{one.trail.decisions} decisions, whole; last hash {one.trail.last_hash[:16]}…"
        )
        out.print(table)
        for text in one.texts:
            out.print(f"  {escape(text)}", soft_wrap=True)
