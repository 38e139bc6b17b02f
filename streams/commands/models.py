"""`holdfast models`: the versions of the models, and which of them serves whom."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from inference import registry
from inference.registry import Serving, Version
from inference.rollout import Rollout
from schemas.errors import HoldfastError
from streams.commands.output import AsJson, out, print_json, progress
from streams.settings import load_settings

app = typer.Typer(help="Say which version of a model serves whom.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Its name, as `holdfast models list` has it.")]
Name = Annotated[str, typer.Argument(metavar="VERSION", help="The number of the version's folder.")]


@app.callback()
def _group() -> None:
    """Say which version of a model serves whom."""


@app.command("list")
def list_versions(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print all versions: who gets them, their figures and data, and what one lacks before it may serve.

    Example: holdfast models list
    """
    repository = load_settings().model_repository
    rows = [row for name in ([model] if model else registry.models(repository)) for row in _rows(name)]
    if as_json:
        print_json({"repository": str(repository), "versions": rows})
        return
    table = Table("model", "version", "state", "trained", "figures", "data", "MB", "card", box=None)
    for row in rows:
        table.add_row(
            row["model"],
            row["version"],
            ", ".join(_words(row)),
            row["trained"] or "",
            ", ".join(f"{figure} {value:.4g}" for figure, value in row["figures"].items()),
            (row["fingerprint"] or "")[:14],
            f"{row['size_bytes'] / 1e6:.1f}",
            os.path.relpath(row["card"], repository) if row["card"] else "",
        )
    out.print(table)
    out.print(f"in {repository}", soft_wrap=True)


@app.command()
def promote(
    model: Model,
    version: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Although a figure has fallen; `models list` says so for ever.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give all users another version. Refused where one of its figures is below the promoted version's.

    Triton loads it beside the old one, which goes when nobody asks for it any more: no request fails.

    Example: holdfast models promote script 2
    """
    _change(model, "promoting", lambda rollout: rollout.promote(version, force=force), as_json)


@app.command()
def rollback(model: Model, as_json: AsJson = False) -> None:
    """Give all users the version that was promoted before; a canary ends. Again, and it goes on further back.

    Example: holdfast models rollback script
    """
    _change(model, "rolling back", lambda rollout: rollout.rollback(), as_json)


@app.command()
def canary(
    model: Model,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="The version to try.")] = None,
    share: Annotated[float, typer.Option("--share", help="Of the users, between 0 and 1.")] = 0.05,
    off: Annotated[bool, typer.Option("--off", help="End it: all get the promoted version.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a share of the users another version: always the same ones, and more of them as it grows.

    Example: holdfast models canary script 2 --share 0.1
    Example: holdfast models canary script --off
    """
    if off == (version is not None):
        raise typer.BadParameter("give the version to try, or --off")
    change = Rollout.end_canary if version is None else lambda rollout: rollout.canary(version, share)
    _change(model, "changing the canary", change, as_json)


def _change(model: str, doing: str, change: Callable[[Rollout], Serving], as_json: bool) -> None:
    settings = load_settings()
    rollout = Rollout(settings.model_repository, model, settings.triton_url)
    with progress() as shown:
        shown.add_task(doing, total=None)
        serving = change(rollout)
    if as_json:
        print_json({"model": model} | msgspec.to_builtins(serving))
        return
    tried = serving.canary
    others = "" if tried is None else f", but {tried.share:.3g} of them version {tried.version}"
    back = f"; a rollback leads to version {serving.before[-1]}" if serving.before else ""
    out.print(f"all users of {model} get version {serving.promoted}{others}{back}")


def _rows(model: str) -> list[dict[str, Any]]:
    settings = load_settings()
    serving = registry.read(settings.model_repository, model)
    rollout = Rollout(settings.model_repository, model, settings.triton_url)
    loaded: set[str] | None = None
    with suppress(HoldfastError):  # the list is of use without Triton, too
        loaded = rollout.loaded() if rollout.in_triton else None
    return [
        msgspec.structs.asdict(found)
        | {
            "folder": str(found.folder),
            "card": str(found.card) if found.card else None,
            "state": _state(serving, found),
            "share": _share(serving, found.version),
            "forced": found.version in serving.forced,
            "loaded": None if loaded is None else found.version in loaded,
        }
        for found in registry.versions(settings.model_repository, model)
    ]


def _state(serving: Serving, found: Version) -> str:
    if found.version == serving.promoted:
        return "promoted"
    if found.version in serving.versions:
        return "canary"
    return "before" if found.version in serving.before else "incomplete" if found.missing else "candidate"


def _share(serving: Serving, version: str) -> float:
    """The share of the users that get a version."""
    tried = serving.canary.share if serving.canary else 0.0
    return 1 - tried if version == serving.promoted else tried if version in serving.versions else 0.0


def _words(row: dict[str, Any]) -> list[str]:
    """What a person is told of a version's state."""
    state = f"{row['state']} {row['share']:.0%}" if row["state"] == "canary" else row["state"]
    marks = {"forced": row["forced"], "in Triton": row["loaded"]}
    lacking = [f"lacks {one}" for one in row["missing"]]
    return [state, *(mark for mark, holds in marks.items() if holds), *lacking]
