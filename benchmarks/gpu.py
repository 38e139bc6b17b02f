"""`python -m benchmarks gpu`: how fast GPT-OSS-20B writes on this machine's GPU, on weights of chance.

The time of a token does not depend on what the weights say, so none are fetched. BF16 alone is measured: the
weights of the real one are MXFP4, and a token reads half as much of them.
"""

from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.machine import machine
from schemas.errors import InputError, UnavailableError
from streams.commands.output import AsJson, notice, out, print_json
from streams.settings import load_settings

BATCHES = 1, 8, 32
PROMPT_TOKENS = 64, 256
TYPICAL_TOKENS, MOST_TOKENS = 45, 96
"""Of a script: what most have, and what the model is stopped at."""
_EXTRA = ("tokenizers", "torch", "transformers")


class Shape(StrEnum):
    """Which model is built."""

    GPT_OSS_20B = "gpt-oss-20b"
    NANO = "nano"


class Row(Struct, frozen=True, kw_only=True):
    """The pace of one batch size and prompt length, and what it means.

    `live_tokens` are there within the budget; drafts are of `TYPICAL_TOKENS` and of `MOST_TOKENS`.
    """

    batch: int
    prompt_tokens: int
    cuda_graphs: bool
    first_ms: float
    token_ms: float
    live_tokens: int
    typical_drafts_per_s: float
    longest_drafts_per_s: float


class Report(Struct, kw_only=True):
    """All rows, and where they are from."""

    shape: Shape
    device: str
    budget_ms: int
    rows: list[Row]
    machine: dict[str, Any]


def gpu(
    shape: Annotated[Shape, typer.Option("--shape", help="nano runs on a CPU too.")] = Shape.GPT_OSS_20B,
    as_json: AsJson = False,
) -> None:
    """Measure the time to the first token, and for each further one, of GPT-OSS-20B on a GPU.

    Needs the extra `train`, and for GPT-OSS-20B a CUDA device with 48 GB.

    Example: python -m benchmarks gpu --shape nano
    """
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise InputError(f"this needs {', '.join(missing)}: run  make train-setup")
    import inference.training.pace as pace  # torch takes seconds, and is an extra

    device, name = pace.device()
    if shape is Shape.GPT_OSS_20B and device != "cuda":
        raise InputError("GPT-OSS-20B needs a CUDA device, and there is none: try --shape nano")
    budget_ms = load_settings().budget_ms
    rows: list[Row] = []
    try:
        model = pace.build(pace.shape(shape), device)
        for found in pace.paces(model, BATCHES, PROMPT_TOKENS, MOST_TOKENS):
            rows.append(row(budget_ms, **msgspec.structs.asdict(found)))
            notice(f"batch {found.batch}, prompt of {found.prompt_tokens}: {found.token_ms:.2f} ms a token")
    except RuntimeError as error:  # torch's own are all of this kind; what was measured so far counts
        if not rows:
            raise UnavailableError(f"{shape} does not run on {name}: {error}") from error
        notice(f"the rest was not measured: {error}")
    report = Report(shape=shape, device=name, budget_ms=budget_ms, rows=rows, machine=machine())
    if as_json:
        print_json(report)
    else:
        _print(report)


def row(
    budget_ms: float, *, batch: int, prompt_tokens: int, cuda_graphs: bool, first_ms: float, token_ms: float
) -> Row:
    """What a pace means: tokens within the budget, and drafts a second.

    >>> found = row(50, batch=8, prompt_tokens=64, cuda_graphs=True, first_ms=20.0, token_ms=4.0)
    >>> found.live_tokens, round(found.typical_drafts_per_s, 1)
    (8, 40.8)
    """
    return Row(
        batch=batch,
        prompt_tokens=prompt_tokens,
        cuda_graphs=cuda_graphs,
        first_ms=first_ms,
        token_ms=token_ms,
        live_tokens=0 if first_ms > budget_ms else 1 + int((budget_ms - first_ms) / token_ms),
        typical_drafts_per_s=batch * 1000 / (first_ms + (TYPICAL_TOKENS - 1) * token_ms),
        longest_drafts_per_s=batch * 1000 / (first_ms + (MOST_TOKENS - 1) * token_ms),
    )


def _print(report: Report) -> None:
    out.print(f"{report.shape} with random weights in BF16 on {report.device}")
    table = Table(
        "batch",
        "prompt",
        "graphs",
        "first token ms",
        "ms a token",
        f"tokens in {report.budget_ms} ms",
        f"drafts/s of {TYPICAL_TOKENS}",
        f"drafts/s of {MOST_TOKENS}",
        box=None,
    )
    for column in table.columns:
        column.justify = "right"
    for one in report.rows:
        table.add_row(
            str(one.batch),
            str(one.prompt_tokens),
            "yes" if one.cuda_graphs else "no",
            f"{one.first_ms:.1f}",
            f"{one.token_ms:.2f}",
            str(one.live_tokens),
            f"{one.typical_drafts_per_s:.1f}",
            f"{one.longest_drafts_per_s:.1f}",
        )
    out.print(table)
