"""`python -m benchmarks overload`: how many drafts are finished where more are asked for than can be written.

A simulation of the drafter's queue: requests come evenly, and the one that is nearest to its crossing goes
first. Either each is begun until its time has come, or those are left out that the model, at its pace of
these days, could not finish any more.
"""

import heapq
from collections import deque
from typing import Annotated

import numpy as np
import typer
from msgspec import Struct
from rich.table import Table

from streams.agents.pace import Pace
from streams.commands.output import AsJson, out, print_json


class Overload(Struct, frozen=True, kw_only=True):
    """What becomes of the requests where those that come too late are begun or `left_out`."""

    left_out: bool
    begun: int
    finished: int


def overload(
    per_s: float, takes_ms: float, spread_ms: float, lead_ms: float, seconds: float, left_out: bool, seed: int
) -> Overload:
    """Of `per_s` requests a second, each `lead_ms` before its crossing, those that are finished.

    A script takes `takes_ms` on average, normally distributed.
    """
    dice, pace = np.random.default_rng(seed), Pace()
    coming = deque(np.arange(0.0, seconds * 1000, 1000 / per_s).tolist())
    waiting: list[float] = []
    now_ms, begun, done = 0.0, 0, 0
    while coming or waiting:
        if not waiting:
            now_ms = max(now_ms, coming[0])
        while coming and coming[0] <= now_ms:
            heapq.heappush(waiting, coming.popleft() + lead_ms)
        left_ms = heapq.heappop(waiting) - now_ms
        if left_ms <= 0 or (left_out and not pace.fits(left_ms)):
            continue
        took_ms = max(takes_ms / 4, dice.normal(takes_ms, spread_ms))
        begun += 1
        now_ms += min(took_ms, left_ms)
        if took_ms <= left_ms:
            done += 1
            pace.took(took_ms)
        else:
            pace.gave_up_after(left_ms)
    return Overload(left_out=left_out, begun=begun, finished=done)


def overloaded(
    per_s: Annotated[float, typer.Option("--per-s", min=1, help="Requests a second.")] = 200,
    takes_ms: Annotated[float, typer.Option("--takes-ms", min=1, help="A script's time, on average.")] = 18,
    spread_ms: Annotated[float, typer.Option("--spread-ms", min=0, help="Its standard deviation.")] = 4,
    lead_s: Annotated[float, typer.Option("--lead-s", min=0.1, help="From request to crossing.")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long requests come.")] = 40,
    seed: Annotated[int, typer.Option("--seed", help="All follows from it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Simulate a drafter that is asked for more than the model can write.

    Example: python -m benchmarks overload --per-s 200 --takes-ms 18
    """
    rows = [
        overload(per_s, takes_ms, spread_ms, lead_s * 1000, seconds, left_out, seed)
        for left_out in (False, True)
    ]
    requests, at_most = round(per_s * seconds), round((seconds + lead_s) * 1000 / takes_ms)
    if as_json:
        print_json({"simulated": True, "requests": requests, "at_most": at_most, "rules": rows})
        return
    table = Table("what cannot be in time", "begun", "finished", "of what is possible", box=None)
    for row in rows:
        table.add_row(
            "is left out (holdfast)" if row.left_out else "is begun",
            f"{row.begun:,}",
            f"{row.finished:,}",
            f"{row.finished / min(requests, at_most):.0%}",
        )
    out.print(table)
    out.print(f"simulated: {requests:,} requests, of which the model could write {min(requests, at_most):,}")
