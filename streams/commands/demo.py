"""`holdfast demo`: the whole of it, on generated traffic, in about a minute."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.live import Live
from rich.table import Table

from streams import demo as scenes
from streams.commands.output import AsJson, err, notice, out, print_json, progress
from streams.commands.stack import started_up
from streams.consumer import Record
from streams.drive import Drive, Habits, Load
from streams.embedded import Stack
from streams.settings import Settings, load_settings
from streams.traffic import spread

USERS, RATE_PER_S = 300, 50.0
CROSSINGS_A_SECOND = 1.0
WARM_UP_S = 15
"""Of the live part: until the JVM has compiled what it runs, decisions are shown and not counted."""
_TENANTS = Path(__file__).parent.parent / "tenants.demo.json"
_PLAIN_EVERY_S = 10.0


def demo(
    seconds: Annotated[int, typer.Option("--seconds", min=20, max=600, help="Of live traffic.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Show the whole of it in about a minute, on generated traffic; nothing is left running.

    Starts a stack of its own in the folder `demo` of the work directory, sends the history of 300 users over
    six weeks, then live traffic in which some of them fall silent, and shows what is decided, what is written
    to them, and how long it took. --json gives the closing report as one object.

    Example: holdfast demo
    """
    settings = _own(load_settings())
    stack = Stack(settings)
    stack.down()
    if settings.work_dir.exists() and any(settings.work_dir.iterdir()):
        stack.down(wipe=True)
        stack = Stack(settings)
    begun_s = time.monotonic()
    try:
        settings = started_up(stack)
        notice(f"the stack is up after {time.monotonic() - begun_s:.0f} s")
        load = Load(
            users=USERS,
            declines_s=tuple(spread(round(seconds * CROSSINGS_A_SECOND), 0, seconds)),
            seconds=seconds - WARM_UP_S,
            warm_up_s=WARM_UP_S,
            lead_s=20,
        )
        live = Habits(settings.bootstrap_servers, RATE_PER_S)
        drive, scene = Drive(settings, load, live), scenes.Scene(settings.budget_ms)
        _watched(drive, scene, as_json)
    finally:
        notice("stopping the stack")
        stack.down()
    if as_json:
        print_json(scene.report(drive.sent))
        return
    _closing(scene, drive.sent)


def _own(settings: Settings) -> Settings:
    """The demo's own stack: other folders, free ports, and the tenant that the traffic is of."""
    ours = {"work_dir": settings.work_dir / "demo", "tenants_file": settings.tenants_file or _TENANTS}
    return msgspec.structs.replace(settings, **ours)


def _watched(drive: Drive, scene: scenes.Scene, as_json: bool) -> None:
    """Run it, with a live picture where somebody can see it, and lines otherwise."""
    shown_s = 0.0
    with progress() as bars:
        bar = bars.add_task("starting", total=None)
        live: Live | None = None

        def on_stage(what: str, done: int, total: int | None) -> None:
            bars.update(bar, description=what, completed=done, total=total)

        def on_record(record: Record | None) -> None:
            nonlocal live, shown_s
            if live is None and not bars.disable:
                bars.stop()
                live = Live(console=err, auto_refresh=False, transient=True)
                live.start()
            if not scene.users and drive.population is not None:
                scene.begin(drive.population)
            found = None if record is None else scene.take(record, drive.is_measured)
            now_s = time.monotonic()
            if live is not None and record is None:
                live.update(scene.view("live: tenant acme", drive.sent), refresh=True)
            elif live is None and found is not None and not as_json:
                out.print(scenes.told(found), soft_wrap=True)
            elif live is None and record is None and now_s - shown_s >= _PLAIN_EVERY_S:
                shown_s = now_s
                notice(f"{drive.sent:,} live events, {scene.crossings} crossings")

        try:
            drive.run(on_stage, on_record)
        finally:
            if live is not None:
                live.stop()


def _closing(scene: scenes.Scene, events: int) -> None:
    out.rule("holdfast demo")
    for one in scene.chosen():
        out.print(scenes.whole(one))
    table = Table("rung", "decisions", "p50 ms", "p90 ms", "p99 ms", "max ms", box=None, pad_edge=False)
    publications = scene.publications
    for rung, times in ({"all": publications.total()} | publications.by_rung()).items():
        figures = (times.p50_ms, times.p90_ms, times.p99_ms, times.max_ms)
        table.add_row(rung, f"{times.count}", *(f"{ms:.1f}" for ms in figures))
    out.print(table)
    outcomes = ", ".join(f"{count} {what}" for what, count in sorted(scene.outcomes.items()))
    out.print(f"{events:,} live events, {scene.crossings} crossings: {outcomes or 'none'}")
    out.print(
        f"detection → publication: {scene.figures(publications.total())} (after {WARM_UP_S} s of warm-up)"
    )
