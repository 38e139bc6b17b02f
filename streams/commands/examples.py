"""`holdfast examples`: the scripts that worked, for the model to be shown."""

from typing import Annotated

import typer
from rich.markup import escape

from inference.registry import read
from inference.room import room
from inference.tritonserver import MODEL
from schemas.errors import InputError
from schemas.examples import Examples, version_of
from streams.commands.output import AsJson, notice, out, print_json
from streams.examples import Shelf, publish_examples, read_examples
from streams.feedback import read_decisions, read_feedback
from streams.settings import Settings, load_settings
from streams.worked import Found, Order, worked

app = typer.Typer(help="Show the model the scripts that worked for users alike.", no_args_is_help=True)
LEAST = 10
"""Users that an example must have had: of fewer, what is one user's own could stand in it."""
NONE = "none"

Tenant = Annotated[str, typer.Option("--tenant", help="Whose examples.")]


@app.callback()
def _group() -> None:
    """Show the model the scripts that worked for users alike."""


@app.command()
def update(
    tenant: Tenant,
    apply: Annotated[
        bool, typer.Option("--apply", help="Have them hold from now on, if there are any.")
    ] = False,
    least: Annotated[int, typer.Option("--least", min=LEAST, help="Users who must have got a script.")] = 30,
    window_days: Annotated[
        float, typer.Option("--window-days", min=0.01, help="How long after a decision answers count.")
    ] = 7.0,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Learn of simulated outcomes, in place of real ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the scripts that users answered better than others sent to users alike, without a complaint.

    Alike are users of the same tier, reason, strategy and language. A script is told as its template: no
    user's facts are in it. Exit status 1 where --apply finds nothing to publish.

    Example: holdfast examples update --tenant acme
    Example: holdfast examples update --tenant acme --apply --json
    """
    settings = load_settings()
    servers = settings.bootstrap_servers
    order = Order(tenant=tenant, least=least, window_days=window_days, simulated=simulated)
    held = read_examples(servers).of(tenant)
    found = worked(read_decisions(servers), read_feedback(servers), order)
    is_new = held is None or held.version != found.examples.version
    refused = "" if found.examples.examples else "no script has worked: the examples that hold still do"
    published = None
    if apply and is_new and not refused:
        publish_examples(servers, found.examples)
        published = found.examples.version
    if as_json:
        print_json({"found": found, "published": published})
    else:
        _tell_found(found)
        if published is not None:
            out.print(f"published as version {published}")
        elif apply and not refused:
            out.print(f"version {found.examples.version} holds already")
    if apply and refused:
        notice(refused)
        raise typer.Exit(1)
    if published is not None:
        _warn(settings)


@app.command()
def show(
    tenant: Tenant,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="Else the one that holds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a tenant's examples, best first, and which versions there are.

    Example: holdfast examples show --tenant acme
    Example: holdfast examples show --tenant acme 3f2a91c0 --json
    """
    settings = load_settings()
    shelf = read_examples(settings.bootstrap_servers)
    held = shelf.of(tenant)
    shown = held if version is None else _known(shelf, tenant, version)
    versions = [one.version for one in shelf.versions(tenant)]
    if as_json:
        print_json({"holds": None if held is None else held.version, "versions": versions, "examples": shown})
        return
    if shown is None or held is None:
        out.print("no examples yet: holdfast examples update finds some", markup=False)
        return
    _list(shown)
    what = _sort(shown) if shown.examples else "shows none"
    holds = "holds" if shown == held else f"does not hold, {held.version} does"
    out.print(f"version {shown.version} {holds} ({what}); there are: {', '.join(versions)}", soft_wrap=True)
    _warn(settings)


@app.command()
def use(
    tenant: Tenant,
    version: Annotated[
        str, typer.Argument(metavar=f"VERSION|{NONE}", help="As `show` has it; none shows no examples.")
    ],
    as_json: AsJson = False,
) -> None:
    """Have an earlier version hold again, or none at all.

    Example: holdfast examples use --tenant acme 3f2a91c0
    Example: holdfast examples use --tenant acme none
    """
    servers = load_settings().bootstrap_servers
    shelf = read_examples(servers)
    if shelf.of(tenant) is None:
        raise InputError(f"tenant {tenant} has no examples yet: holdfast examples update finds some")
    if version == NONE:
        wanted = Examples(tenant=tenant, version=version_of((), False))
    else:
        wanted = _known(shelf, tenant, version)
    publish_examples(servers, wanted)
    if as_json:
        print_json({"holds": wanted.version})
    else:
        out.print(f"version {wanted.version} holds: {len(wanted.examples)} examples")


def _known(shelf: Shelf, tenant: str, version: str) -> Examples:
    found = shelf.version(tenant, version)
    if found is None:
        known = ", ".join(one.version for one in shelf.versions(tenant)) or "none"
        raise InputError(f"tenant {tenant} has no version {version} of its examples; there are: {known}")
    return found


def _tell_found(found: Found) -> None:
    _list(found.examples)
    counts = ", ".join(f"{count:,} {what}" for what, count in found.scripts.items() if count)
    told = f": {counts}" if counts else ""
    out.print(f"{sum(found.scripts.values()):,} scripts ({_sort(found.examples)}){told}", soft_wrap=True)


def _list(examples: Examples) -> None:
    for one in examples.examples:
        out.print(
            f"[bold]{one.tier} {one.reason} {one.strategy} {one.locale}[/]  {one.users:,} users, "
            f"{one.answered / one.users:.1%} answered (at least {one.low:.1%}), "
            f"other scripts {one.others:.1%}",
            soft_wrap=True,
        )
        out.print(f"  {escape(one.template)}", soft_wrap=True)


def _sort(examples: Examples) -> str:
    return f"{'simulated' if examples.simulated else 'real'} outcomes"


def _warn(settings: Settings) -> None:
    """Say so where the version that serves takes no examples."""
    try:
        promoted = read(settings.model_repository, MODEL).promoted
        taken = room(settings.model_repository / MODEL / promoted).tokens
    except InputError as error:
        notice(str(error))
        return
    if not taken:
        notice(f"version {promoted} of {MODEL} takes no examples: its prompt.json gives them no room")
