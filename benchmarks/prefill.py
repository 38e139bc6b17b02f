"""`python -m benchmarks prefill`: what examples in the prompt cost the small model, and what it writes then.

The model runs in this process on one thread. It was trained without examples: what it writes with them tells
whether its versions may be given room for any, not what examples do for users.
"""

import time
from itertools import islice
from random import Random
from typing import Annotated, Any

import numpy as np
import typer
from msgspec import Struct
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.machine import machine
from inference.intervals import bootstrap
from inference.nano import MAX_POSITIONS, Nano, Sampling
from inference.prompt import prompt, shown
from inference.registry import promoted
from inference.training.corpus import compose, examples
from inference.tritonserver import MODEL
from operators.ladder import refusal
from schemas.profile import Profile
from streams.commands.output import AsJson, out, print_json, progress

ROOMS = [0, 50, 100, 150, 200]
_SEED, _SCRIPTS, _WARM_UPS, _REPEATS = 5, 12, 5, 5
_ANSWER_TOKENS = 96


class Row(Struct, kw_only=True):
    """What a room for examples (tokens) came to, over all profiles.

    `examples` and `prompt_tokens` are means. `first_ms` is the processor time until the prompt is read, the
    median; `more_ms` how much longer that takes than without examples, with its interval of 95 %. Of what is
    written then (the likeliest token each time) `sendable` passes the guard and `copied` is an example.
    """

    room: int
    examples: float
    prompt_tokens: float
    first_ms: float
    more_ms: float
    more_ci_ms: tuple[float, float]
    sendable: float
    copied: float


class Report(Struct, kw_only=True):
    """All rooms, and where they were measured."""

    profiles: int
    rows: list[Row]
    machine: dict[str, Any]


def prefill(
    profiles: Annotated[int, typer.Option("--profiles", min=2, help="Profiles of the corpus.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Measure how much longer the small model reads a prompt with examples, and what it writes then.

    Example: python -m benchmarks prefill
    Example: python -m benchmarks prefill --profiles 500 --json
    """
    bench = _Bench(profiles)
    with progress() as bar:
        rows = [bench.measure(room) for room in bar.track(ROOMS, description="rooms")]
    report = Report(profiles=profiles, rows=rows, machine=machine())
    if as_json:
        print_json(report)
    else:
        _show(report)


class _Bench:
    """The model, the profiles, and scripts for each of them."""

    def __init__(self, profiles: int) -> None:
        self._nano = Nano(promoted(MODEL))
        random = Random(_SEED)
        known = (one.profile for one in islice(examples(_SEED), profiles))
        self._asked = [
            (one, list(dict.fromkeys(compose(one, random) for _ in range(_SCRIPTS)))) for one in known
        ]
        self._bare: NDArray[np.float64] | None = None
        for _ in range(_WARM_UPS):
            self._nano.logits(prompt(self._asked[0][0]))

    def measure(self, room: int) -> Row:
        """The row of `room`; the first that is measured is what the others are held against."""
        first_ms, tokens, many, sendable, copied = [], [], [], 0, 0
        for profile, scripts in self._asked:
            fitting = self._fitting(profile, scripts, room)
            text = prompt(profile, fitting)
            first_ms.append(min(self._first_ms(text) for _ in range(_REPEATS)))
            tokens.append(self._count(text))
            many.append(len(fitting))
            written = "".join(self._nano.generate(text, Sampling(max_tokens=_ANSWER_TOKENS), lambda: False))
            sendable += refusal(profile, written) is None
            copied += written in fitting
        taken = np.array(first_ms)
        self._bare = taken if self._bare is None else self._bare
        more = taken - self._bare
        return Row(
            room=room,
            examples=float(np.mean(many)),
            prompt_tokens=float(np.mean(tokens)),
            first_ms=float(np.median(taken)),
            more_ms=float(np.mean(more)),
            more_ci_ms=bootstrap(
                lambda weights: float(np.average(more, weights=weights)), np.arange(len(more))
            ),
            sendable=sendable / len(more),
            copied=copied / len(more),
        )

    def _fitting(self, profile: Profile, scripts: list[str], room: int) -> list[str]:
        """Of `scripts` those that fit into the room together, and with an answer into the positions."""
        taken: list[str] = []
        left = MAX_POSITIONS - _ANSWER_TOKENS - self._count(prompt(profile))
        for script in scripts:
            if self._count(shown(profile.locale, [*taken, script])) <= min(room, left):
                taken.append(script)
        return taken

    def _count(self, text: str) -> int:
        return len(self._nano.tokenizer.encode(text, add_special_tokens=False).ids)

    def _first_ms(self, text: str) -> float:
        begun_s = time.process_time()
        self._nano.logits(text)
        return (time.process_time() - begun_s) * 1000


def _show(report: Report) -> None:
    table = Table(
        *("room", "examples", "tokens", "read in ms", "more ms", "95 %", "sendable", "copied"),
        box=None,
        pad_edge=False,
    )
    for row in report.rows:
        low, high = row.more_ci_ms
        table.add_row(
            f"{row.room}",
            f"{row.examples:.1f}",
            f"{row.prompt_tokens:.0f}",
            f"{row.first_ms:.2f}",
            f"{row.more_ms:+.2f}" if row.room else "–",
            f"{low:+.2f} … {high:+.2f}" if row.room else "",
            f"{row.sendable:.1%}",
            f"{row.copied:.1%}",
        )
    out.print(table)
    out.print(f"[dim]{report.profiles} profiles, processor time of one thread, {report.machine['cpu']}[/]")
