"""`holdfast evaluate scripts`: what the script model writes, and how it compares with the templates."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from inference.nano import Nano
from inference.registry import promoted
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import InputError
from streams.commands.output import AsJson, out, print_json, progress
from streams.comparing import figures

_SEED = 23


def scripts(
    version: Annotated[
        str | None, typer.Option("--version", help="The version of the model; the promoted one if none.")
    ] = None,
    repository: Annotated[
        Path, typer.Option("--repository", metavar="FOLDER", help="The model repository.")
    ] = MODEL_REPOSITORY,
    many: Annotated[int, typer.Option("--scripts", min=20, help="Held-out profiles to write for.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed", help="Draws profiles and samples.")] = _SEED,
    as_json: AsJson = False,
) -> None:
    """Have the script model write for profiles that it never saw, and judge what it writes.

    Conditioning is exact: a script that is a word off is wrong. The comparison with the templates is by a
    rubric of ours, which is deterministic: no person has judged. Intervals are of 95 %. A version that has
    learned other phrases than those of today is wrong wherever it uses them.

    Example: holdfast evaluate scripts --scripts 1000 --json
    """
    folder = promoted(MODEL, repository) if version is None else repository / MODEL / version
    if not (folder / "model.onnx").exists():
        raise InputError(
            f"{folder} holds no small model: scripts of another are evaluated where it is served"
        )
    with progress() as shown:
        bar = shown.add_task("write", total=many)
        found = figures(
            Nano(folder), scripts=many, seed=seed, report=lambda done: shown.update(bar, completed=done)
        )
    if as_json:
        print_json({"model": MODEL, "version": folder.name, "rubric": "ours, deterministic"} | found)
        return
    out.print(_table(found))
    marks = Table("rubric", "model", "templates")
    for name, both in found["against_templates"]["marks"].items():
        marks.add_row(name, f"{both['model']:.2f}", f"{both['templates']:.2f}")
    out.print(marks)
    out.print("The rubric is ours and deterministic: no person has judged.")


def _table(found: dict[str, Any]) -> Table:
    table = Table("figure", "value", "95 %", "n")
    compared = found["against_templates"]
    rows = {f"conditioning, {name}": one for name, one in found["conditioning"].items()}
    rows |= {"guard pass": found["guard_pass"], "language purity": found["language_purity"]}
    rows |= {"characters": found["chars"]}
    rows |= {f"distinct, {name}": one for name, one in found["distinct"].items()}
    names = ("wins", "ties", "losses", "net", "net_without_variety")
    rows |= {f"against templates, {name.replace('_', ' ')}": compared[name] for name in names}
    for name, one in rows.items():
        bounds = " … ".join(f"{bound:.3f}" for bound in one["ci"])
        table.add_row(name, f"{one['value']:.3f}", bounds, f"{one['n']:,}")
    return table
