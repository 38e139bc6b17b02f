"""`python -m benchmarks rollback`: what users notice of a version that is tried, promoted, and rolled back.

Scripts are asked for at a steady rate, each at its intended time whether or not the last one has come, by
the client that the agents use. Meanwhile `holdfast models` changes the version, as a person would. The second
version is a copy of the first: only the change is measured.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import Struct, field
from msgspec.structs import replace
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.stack import own_stack
from inference import registry
from inference.client import ScriptModel
from inference.prompt import prompt
from inference.registry import Watch
from inference.rollout import CONFIG, set_policy
from inference.training.corpus import examples
from inference.tritonserver import MODEL
from schemas.errors import HoldfastError, UnavailableError
from streams.commands.output import AsJson, notice, out, print_json
from streams.settings import Settings, load_settings
from streams.telemetry import Latencies, Latency

USERS = 1_000
COMMANDS = ("canary script 2 --share 0.2", "promote script 2", "rollback script")
_PROFILES, _SEED = 200, 5
_WARM_UP_S = 2.0


class Step(Struct, kw_only=True):
    """The time before, during or after a command of `holdfast models`.

    `strays` were answered by a version that `serving.json` gave to their user neither before nor after.
    Latency counts from the intended time.
    """

    name: str
    lasted_s: float = 0.0
    asked: int = 0
    by_version: Counter[str] = field(default_factory=Counter)
    strays: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latency: Latency | None = None


class Report(Struct, kw_only=True):
    """All steps, and where they are from."""

    rate: float
    deadline_ms: int
    steps: list[Step]
    machine: dict[str, Any]

    @property
    def failed(self) -> int:
        """Requests that gave no script, or one by a version that was not the user's."""
        return sum(step.failures.total() + step.strays for step in self.steps)


def rollback(
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Scripts a second.")] = 10.0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1.0, help="Load before the first command and after each.")
    ] = 10.0,
    deadline_ms: Annotated[int, typer.Option("--deadline-ms", min=1, help="Of each request.")] = 2000,
    as_json: AsJson = False,
) -> None:
    """Try a version on a fifth of the users, promote it and roll back, while scripts are asked for.

    Exit status 1 when a request failed. Starts a Triton of its own, on a copy of the promoted version.

    Example: python -m benchmarks rollback --rate 20
    """
    with _two_versions(load_settings()) as settings, own_stack(settings) as stack:
        started = stack.up(only=("triton",))
        steps = asyncio.run(_measured(started, rate, seconds, deadline_ms))
    report = Report(rate=rate, deadline_ms=deadline_ms, steps=steps, machine=machine())
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(1)


@contextmanager
def _two_versions(settings: Settings) -> Iterator[Settings]:
    """`settings` with a repository in which the promoted version of the scripts' model is there twice."""
    source = settings.model_repository / MODEL
    with tempfile.TemporaryDirectory(prefix="holdfast-models-") as folder:
        target = Path(folder) / MODEL
        target.mkdir()
        shutil.copyfile(source / CONFIG, target / CONFIG)
        set_policy(target, "1")
        for version in "12":
            shutil.copytree(registry.promoted(MODEL, settings.model_repository), target / version)
        yield replace(settings, model_repository=Path(folder))


async def _measured(settings: Settings, rate: float, seconds: float, deadline_ms: int) -> list[Step]:
    steps: list[Step] = []
    watch = Watch(settings.model_repository, MODEL)
    async with ScriptModel(settings.triton_url, watch.serving) as model:
        while not await model.ready():
            await asyncio.sleep(0.1)
        load = _Load(model, rate, deadline_ms)
        async with load.running():
            await asyncio.sleep(_WARM_UP_S)
            steps.append(await load.during("before", asyncio.sleep(seconds)))
            for command in COMMANDS:
                steps.append(await load.during(command, _holdfast(settings, command)))
                name = f"after {command.split()[0]}"
                steps.append(await load.during(name, asyncio.sleep(seconds)))
    return [replace(step, latency=load.latencies[step.name].summary()) for step in steps]


class _Load:
    """Asks for scripts at a steady rate, and books each with the step in which it was asked for."""

    def __init__(self, model: ScriptModel, rate: float, deadline_ms: int) -> None:
        self._model, self._rate, self._deadline_ms = model, rate, deadline_ms
        self._prompts = [prompt(one.profile) for one in islice(examples(_SEED), _PROFILES)]
        self.latencies = {"warm-up": Latencies()}
        self._step = Step(name="warm-up")

    async def during(self, name: str, step: Awaitable[None]) -> Step:
        """Waits for `step`; what is asked for meanwhile belongs to the step of that name."""
        notice(name)
        self.latencies[name] = Latencies()
        self._step = Step(name=name)
        begun_s = time.monotonic()
        await step
        self._step.lasted_s = time.monotonic() - begun_s
        return self._step

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Asks on while the block runs, and then waits for what is under way."""
        asking: set[asyncio.Task[None]] = set()

        async def ask_for_ever() -> None:
            begun_s = time.time()
            for number in count():
                due_s = begun_s + number / self._rate
                await asyncio.sleep(max(0.0, due_s - time.time()))
                task = asyncio.create_task(self._ask(number, due_s * 1000))
                asking.add(task)
                task.add_done_callback(asking.discard)

        pacing = asyncio.create_task(ask_for_ever())
        try:
            yield
        finally:
            pacing.cancel()
            await asyncio.gather(*asking)

    async def _ask(self, number: int, due_ms: float) -> None:
        step, user = self._step, f"acme/u{number % USERS}"
        step.asked += 1
        before = self._model.version_for(user)
        try:
            made = await self._model.generate(
                self._prompts[number % _PROFILES], due_ms + self._deadline_ms, user
            )
        except HoldfastError as error:
            step.failures[f"{type(error).__name__}: {error}"] += 1
            return
        self.latencies[step.name].record(time.time() * 1000 - due_ms)
        step.by_version[made.model_version] += 1
        step.strays += made.model_version not in (before, self._model.version_for(user))


async def _holdfast(settings: Settings, command: str) -> None:
    """Runs `holdfast models` as a person would.

    Raises:
        UnavailableError: it failed.
    """
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "streams.cli", "models", *command.split()),
        env={**os.environ, **settings.variables()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    if running.returncode:
        raise UnavailableError(f"models {command}: {said.decode(errors='replace').strip()}")


def _print(report: Report) -> None:
    table = Table("models", "s", "asked", "by version", "failed", "p50 ms", "p99 ms", "max ms", box=None)
    for step in report.steps:
        latency = step.latency or Latencies().summary()
        table.add_row(
            step.name,
            f"{step.lasted_s:.1f}",
            f"{step.asked:,}",
            ", ".join(f"{version}: {number:,}" for version, number in sorted(step.by_version.items())),
            str(step.failures.total() + step.strays),
            f"{latency.p50_ms:.1f}",
            f"{latency.p99_ms:.1f}",
            f"{latency.max_ms:.1f}",
        )
    out.print(table)
    for step in report.steps:
        for problem, times in step.failures.items():
            out.print(f"{times} times: {problem}", markup=False)
    asked = sum(step.asked for step in report.steps)
    out.print(f"{asked:,} scripts asked for at {report.rate:g} a second: {report.failed} failed")
