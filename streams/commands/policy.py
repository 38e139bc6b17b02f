"""`holdfast policy`: the rules under which users are written to, and their versions."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from operators.calendar import told
from schemas.decision import Decision
from schemas.errors import InputError
from schemas.policy import Policy, RuleBook, Rules
from schemas.topics import DAY_MS, DECISIONS
from schemas.vocabulary import Tier
from streams.commands.output import AsJson, epoch_ms, notice, out, print_json
from streams.consumer import reading
from streams.preview import SENT, Ended, counted, preview
from streams.rulefile import load_rules
from streams.rules import LEAD_MS, publish_rules, read_rules
from streams.settings import load_settings
from streams.tenants import load_tenants
from streams.versions import Change, changes, placed, stated

app = typer.Typer(help="Say when users may be written to, and from when on that holds.", no_args_is_help=True)

RulesFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A version of the rules, or a list of them: YAML or JSON.")
]
_decoder = msgspec.json.Decoder(Decision)


@app.callback()
def _group() -> None:
    """Say when users may be written to, and from when on that holds."""


@app.command()
def check(file: RulesFile, as_json: AsJson = False) -> None:
    """Say whether FILE can be used, and what is wrong with which line. Needs no server.

    Offers that arms name must be in HOLDFAST_TENANTS_FILE, where that is set.

    Example: holdfast policy check policies.yaml
    """
    versions = _checked(file)
    if as_json:
        print_json({"versions": [stated(rules) for rules in versions]})
        return
    for rules in versions:
        out.print(f"version {rules.version}: {_size(rules)}")
    out.print("[green]it can be applied[/]")


@app.command()
def apply(
    file: RulesFile,
    at_ms: Annotated[
        int | None,
        typer.Option(
            "--at", parser=epoch_ms, metavar="TIME", help="From when on: epoch ms, or an ISO time (UTC)."
        ),
    ] = None,
    in_s: Annotated[
        float | None, typer.Option("--in", min=0, metavar="SECONDS", help="The same, from now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish the version in FILE, and print what it changes. Nothing is restarted.

    It holds from the time that FILE states (`since`), or --at, or --in; else from 5 s ahead, so that all
    instances know it before they decide by it. A version is never changed afterwards: to go back, apply the
    older content under a new name.

    Example: holdfast policy apply policies.yaml
    Example: holdfast policy apply summer.yaml --at 2024-07-01
    """
    if at_ms is not None and in_s is not None:
        raise typer.BadParameter("give --at or --in, not both")
    servers = load_settings().bootstrap_servers
    versions = _checked(file)
    now_ms = int(time.time() * 1000)
    since_ms = at_ms if in_s is None else now_ms + round(in_s * 1000)
    if since_ms is not None and len(versions) > 1:
        raise InputError(f"{file} has {len(versions)} versions: state the time of each in it (since)")
    book = read_rules(servers)
    applied: list[tuple[Rules, str, list[Change]]] = []
    for rules in versions:
        fit = placed(rules, book, now_ms, since_ms, lambda ms: _decided_from(servers, ms))
        if fit is None:
            notice(f"version {rules.version} is there already, and unchanged")
            continue
        before = book.at(fit.since)
        applied.append((fit, before.version, list(changes(before, fit))))
        book = RuleBook((*book.versions, fit))
    publish_rules(servers, [fit for fit, _, _ in applied])
    if as_json:
        print_json({"applied": [_applied(*one) for one in applied]})
        return
    for fit, before_version, found in applied:
        _show_applied(fit, before_version, found, now_ms)


@app.command("list")
def list_versions(as_json: AsJson = False) -> None:
    """Print all versions by the time from which they hold, and which holds now.

    Example: holdfast policy list
    """
    book, now_ms = read_rules(load_settings().bootstrap_servers), int(time.time() * 1000)
    holds = book.at(now_ms).version
    rows = [
        {
            "version": rules.version,
            "since": rules.since,
            "state": "holds" if rules.version == holds else "to come" if rules.since > now_ms else "before",
            "tenants": sorted(rules.tenants),
        }
        for rules in book.versions
    ]
    if as_json:
        print_json({"versions": rows})
        return
    if not rows:
        out.print("no version yet: only replay, consent and rise hold a script back")
        return
    table = Table("version", "since", "state", "what it holds", box=None, pad_edge=False)
    for row, rules in zip(rows, book.versions, strict=True):
        state = f"[green]{row['state']}[/]" if row["state"] == "holds" else str(row["state"])
        table.add_row(rules.version, _since(rules.since), state, _size(rules))
    out.print(table)


@app.command()
def show(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `holdfast policy list` has it.")],
    new_name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Under another name, and without its time.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a version as a file that `apply` takes; with --as NAME as a new version, to go back to it.

    Example: holdfast policy show spring
    Example: holdfast policy show spring --as back-to-spring > back.yaml && holdfast policy apply back.yaml
    """
    book = read_rules(load_settings().bootstrap_servers)
    found = next((rules for rules in book.versions if rules.version == version), None)
    if found is None:
        known = ", ".join(rules.version for rules in book.versions) or "none"
        raise InputError(f"there is no version {version} of the rules; there are: {known}")
    if new_name is not None:
        found = msgspec.structs.replace(found, version=new_name, since=0)
    if as_json:
        print_json(stated(found))
    else:
        out.out(msgspec.yaml.encode(stated(found)).decode(), end="")


@app.command("preview")
def preview_rules(
    file: RulesFile,
    days: Annotated[int, typer.Option("--days", min=1, help="Up to the newest decision.")] = 7,
    examples: Annotated[int, typer.Option("--examples", min=0, help="How many that change to show.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Decide the last days again as if the version in FILE had held: how many would be sent or held, and why.

    Nothing is published. Caps and the cooldown count what FILE's rules would have sent. What is put off is
    decided again when that is over, of the user as last recorded before. How users would have answered to
    other scripts is not known.

    Example: holdfast policy preview policies.yaml --days 14
    Example: holdfast policy preview policies.yaml --json | jq .counts
    """
    versions = _checked(file)
    if len(versions) > 1:
        raise InputError(f"{file} has {len(versions)} versions: preview one of them")
    book = RuleBook([msgspec.structs.replace(versions[0], since=0)])
    decided = list(_decisions(load_settings().bootstrap_servers))
    until_ms = max((one.ruling.standing.at for one in decided if one.ruling), default=0) + 1
    found = preview(decided, book, until_ms - days * DAY_MS, until_ms)
    changed = [one for one in found if one.changes]
    table = counted(found)
    if as_json:
        print_json(
            {
                "version": versions[0].version,
                "until": until_ms,
                "days": days,
                "crossings": len(found),
                "changed": len(changed),
                "counts": [
                    {"tenant": tenant, "tier": tier, "outcome": outcome, "before": before, "after": after}
                    for tenant, tier, outcome, before, after in table
                ],
                "examples": changed[:examples],
            }
        )
        return
    _show_preview(versions[0].version, table, changed, examples)
    out.print(f"{len(changed):,} of {len(found):,} crossings of {days} days change")


def _show_preview(
    version: str, table: list[tuple[str, Tier, str, int, int]], changed: list[Ended], examples: int
) -> None:
    shown = Table("tenant", "to tier", "outcome", "as it was", f"under {version}", box=None, pad_edge=False)
    for tenant, tier, outcome, before, after in table:
        mark = "" if before == after else "[green]" if outcome == SENT else "[yellow]"
        shown.add_row(tenant, tier, outcome, f"{before:,}", f"{mark}{after:,}")
    out.print(shown)
    for one in changed[:examples]:
        allowed = "" if one.after.allowed_at is None else f", allowed from {told(one.after.allowed_at)}"
        out.print(
            f"{one.id}  {one.tenant}/{one.user_id}  {one.tier}: {one.before.outcome} {told(one.before.at)}"
            f" → {one.after.outcome} {told(one.after.at)}{allowed}",
            markup=False,
            soft_wrap=True,
        )


def _checked(file: Path) -> tuple[Rules, ...]:
    """The versions in `file`, whose arms name offers that there are."""
    versions, tenants_file = load_rules(file), load_settings().tenants_file
    if tenants_file is None:
        return versions
    tenants = load_tenants(tenants_file)
    for rules in versions:
        for tenant, policy in rules.tenants.items():
            known = {offer.id for offer in tenants.of(tenant).offers}
            for offer in _offers(policy):
                if offer not in known:
                    listed = ", ".join(sorted(filter(None, known))) or "none"
                    raise InputError(
                        f"{file.name}: an arm of tenant {tenant} makes the offer {offer}, "
                        f"which {tenants_file.name} does not have; it has: {listed}"
                    )
    return versions


def _offers(policy: Policy) -> set[str]:
    offers = {arm.treatment.offer for experiment in policy.experiments for arm in experiment.arms}
    return {offer for offer in offers if offer}


def _decided_from(servers: str, since_ms: int) -> bool:
    """Whether decisions of that time (epoch ms) or later are on the topic."""
    rulings = (decision.ruling for decision in _decisions(servers))
    return any(ruling is not None and ruling.standing.at >= since_ms for ruling in rulings)


def _decisions(servers: str) -> Iterator[Decision]:
    with reading(servers, DECISIONS) as reader:
        for record in reader.present():
            yield _decoder.decode(record.value or b"")


def _applied(rules: Rules, before: str, found: list[Change]) -> dict[str, Any]:
    return {"version": rules.version, "since": rules.since, "before": before, "changes": found}


def _show_applied(rules: Rules, before: str, found: list[Change], now_ms: int) -> None:
    lead_ms = rules.since - now_ms
    out.print(
        f"version {rules.version} holds from {_since(rules.since)}"
        + (f", {lead_ms / 1000:.1f} s ahead" if lead_ms > 0 else "")
    )
    if 0 < lead_ms < LEAD_MS:
        notice(
            f"that is less than the {LEAD_MS / 1000:g} s in which all instances are sure to have heard of it"
        )
    if not found:
        out.print(f"it changes nothing against {before or 'no rules'}")
        return
    table = Table("tenant", "field", f"before ({before or 'no rules'})", "after", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.tenant, one.field, escape(one.before), escape(one.after))
    out.print(table)


def _since(since_ms: int) -> str:
    return told(since_ms) if since_ms else "the beginning"


def _size(rules: Rules) -> str:
    tenants = f"{len(rules.tenants)} tenants" if len(rules.tenants) != 1 else "1 tenant"
    default = "" if rules.default == Policy() else " and a default"
    return f"{tenants}{default}"
