"""Brings the stack up, takes it down, and says how it is."""

import fcntl
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from schemas.errors import InputError, UnavailableError
from streams.embedded import process
from streams.embedded.broker import BROKER
from streams.embedded.cache import REDIS
from streams.embedded.component import Component
from streams.embedded.ours import OURS, TRITON
from streams.settings import STATE_FILE, Settings, noted_ports, variable, with_ports

COMPONENTS = (BROKER, REDIS, TRITON, *OURS)

_POLL_S = 0.2

State = Literal["running", "unhealthy", "stopped", "external", "unreachable"]


class Progress(Struct, frozen=True, kw_only=True):
    """A step of `up`: what became of one component, after how long, and how many of all are healthy."""

    name: str
    state: Literal["starting", "waiting", "healthy"]
    elapsed_s: float
    healthy: int
    total: int


class Status(Struct, frozen=True, kw_only=True):
    """How one component is. `external` and `unreachable` are said of servers of the operator's own."""

    name: str
    state: State
    pid: int | None
    ports: dict[str, int]
    problem: str | None
    log: str

    @property
    def healthy(self) -> bool:
        """Whether it serves."""
        return self.state in ("running", "external")


class Stack:
    """The embedded stack of one work directory.

    `settings` are those of the moment: after `up` they hold the ports and addresses that were chosen.
    """

    def __init__(self, settings: Settings, components: Sequence[Component] = COMPONENTS) -> None:
        self.settings = settings
        self._components = components

    def up(
        self, only: Iterable[str] | None = None, on_progress: Callable[[Progress], None] | None = None
    ) -> Settings:
        """Start what does not run, wait until all is healthy, and give the settings that lead there.

        What runs and is healthy is left alone, unless it follows settings and these have changed.
        `only` names the components wanted; what they need is not added.

        Raises:
            UnavailableError: a part is missing, a port that was asked for is taken, or a component does not
                become healthy; the text names its log. The others go on.
            InputError: `only` names no component of ours.
        """
        wanted = self._named(only)
        with self._locked():
            ascent = _Ascent(self, wanted, on_progress or _silent)
            ascent.run()
        return self.settings

    def down(self, wipe: bool = False, only: Iterable[str] | None = None) -> list[str]:
        """Stop what runs, the last started first; the names of what was stopped.

        State stays in the work directory, unless `wipe` removes the directory as a whole.

        Raises:
            InputError: `only` names no component of ours; or something is to be wiped that is no work
                directory of holdfast.
        """
        wanted = self._named(only)
        if wipe and only is not None:
            raise InputError("wiping removes the state of all components: leave the names out")
        if not self.settings.work_dir.exists() and not process.find(self.settings.work_dir):
            return []
        with self._locked():
            found = process.find(self.settings.work_dir)
            stopped = [component for component in reversed(wanted) if component.name in found]
            for component in stopped:
                process.stop(found[component.name], component.stops_within_s)
            if wipe:
                self._wipe()
        return [component.name for component in stopped]

    def status(self) -> list[Status]:
        """How each component is, in the order of starting."""
        found = process.find(self.settings.work_dir)
        return [self._status(component, found.get(component.name)) for component in self._components]

    def log(self, component: Component) -> Path:
        """Where the output of the component goes."""
        return self.settings.work_dir / "logs" / f"{component.name}.log"

    def _status(self, component: Component, found: process.Found | None) -> Status:
        external = component.external(self.settings)
        main = None if found is None else found.main
        state: State
        if main is None and not external:
            state, problem = "stopped", None
        else:
            problem = component.check(self.settings)
            if external:
                state = "external" if problem is None else "unreachable"
            else:
                state = "running" if problem is None else "unhealthy"
        return Status(
            name=component.name,
            state=state,
            pid=main,
            ports={} if external else {name: getattr(self.settings, name) for name in component.ports},
            problem=problem,
            log=str(self.log(component)),
        )

    def _named(self, names: Iterable[str] | None) -> list[Component]:
        if names is None:
            return list(self._components)
        known = {component.name for component in self._components}
        wanted = set(names)
        if unknown := wanted - known:
            raise InputError(
                f"no component is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        return [component for component in self._components if component.name in wanted]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up` or `down` at a time; the lock goes with the process that holds it."""
        work_dir = self.settings.work_dir
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
            lock = (work_dir / "lock").open("w")
        except OSError as error:
            raise InputError(f"cannot write to the work directory {work_dir}: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UnavailableError(f"another holdfast starts or stops the stack in {work_dir}") from None
            yield

    def _wipe(self) -> None:
        work_dir = self.settings.work_dir
        # A home directory that was named by mistake has no such file.
        if not (work_dir / STATE_FILE).exists() and any(path.name != "lock" for path in work_dir.iterdir()):
            raise InputError(f"{work_dir} holds no stack of holdfast: it is not removed")
        shutil.rmtree(work_dir)


class _Ascent:
    """One run of `up`."""

    def __init__(
        self, stack: Stack, wanted: list[Component], on_progress: Callable[[Progress], None]
    ) -> None:
        self._stack = stack
        self._wanted = wanted
        self._on_progress = on_progress
        self._begun_s = time.monotonic()
        self._deadline_s: dict[str, float] = {}
        self._healthy: set[str] = set()
        self._started: dict[str, int] = {}

    def run(self) -> None:
        found = process.find(self._stack.settings.work_dir)
        self._choose_ports(found)
        found = self._clear(found)
        wanted = {component.name for component in self._wanted}
        while len(self._healthy) < len(self._wanted):
            for component in self._wanted:
                name = component.name
                if name in self._healthy or not (set(component.needs) & wanted) <= self._healthy:
                    continue
                if name not in self._deadline_s:
                    self._begin(component, found)
                self._look(component)
            if len(self._healthy) < len(self._wanted):
                time.sleep(_POLL_S)  # between two looks at servers that give no sign by themselves

    def _choose_ports(self, found: dict[str, process.Found]) -> None:
        """Settle the ports of all that is to be started, before anything is told the address of another."""
        settings = self._stack.settings
        ports = noted_ports(settings.work_dir)
        for component in self._wanted:
            if component.external(settings) or _main(found, component) is not None:
                continue
            for name in component.ports:
                others = {port for other, port in ports.items() if other != name}
                ports[name] = _free_port(name, settings, others)
        self._stack.settings = with_ports(settings, ports)
        path = settings.work_dir / STATE_FILE
        written = path.with_suffix(".new")
        written.write_bytes(msgspec.json.format(msgspec.json.encode(ports)))
        written.replace(path)

    def _clear(self, found: dict[str, process.Found]) -> dict[str, process.Found]:
        """Stop what is left of components that died, and what runs with settings of the past."""
        settings = self._stack.settings
        kept = dict(found)
        for component in reversed(self._wanted):
            there = found.get(component.name)
            if there is None:
                continue
            outdated = component.follows_settings and any(
                there.environ.get(name) != value for name, value in settings.variables().items()
            )
            if there.main is None or outdated or component.external(settings):
                process.stop(there, component.stops_within_s)
                del kept[component.name]
        return kept

    def _begin(self, component: Component, found: dict[str, process.Found]) -> None:
        stack = self._stack
        self._deadline_s[component.name] = time.monotonic() + component.healthy_within_s
        if component.external(stack.settings) or component.name in found:
            self._tell(component, "waiting")
            return
        launch = component.launch(stack.settings)
        try:
            self._started[component.name] = process.start(
                launch.argv,
                launch.env,
                stack.settings.work_dir,
                component.name,
                stack.log(component),
                component.turn,
            )
        except OSError as error:
            raise UnavailableError(f"{component.name} cannot be started: {error}") from error
        self._tell(component, "starting")

    def _look(self, component: Component) -> None:
        stack = self._stack
        external = component.external(stack.settings)
        log = stack.log(component)
        problem = component.check(stack.settings)
        if not external and not self._lives(component):
            raise UnavailableError(f"{component.name} ended while starting: {_last_words(log)} (log: {log})")
        if problem is None:
            component.ready(stack.settings)
            self._healthy.add(component.name)
            self._tell(component, "healthy")
            return
        if external:
            raise UnavailableError(f"{component.name}: {problem}")
        if time.monotonic() > self._deadline_s[component.name]:
            if there := process.find(stack.settings.work_dir).get(component.name):
                process.stop(there, component.stops_within_s)
            raise UnavailableError(
                f"{component.name} did not become healthy within {component.healthy_within_s:.0f} s: "
                f"{problem} (log: {log})"
            )
        self._tell(component, "waiting")

    def _lives(self, component: Component) -> bool:
        """Just after the start a process shows no environment, and is known by its pid alone."""
        pid = self._started.get(component.name)
        if pid is not None:
            return process.lives(pid)
        return _main(process.find(self._stack.settings.work_dir), component) is not None

    def _tell(self, component: Component, state: Literal["starting", "waiting", "healthy"]) -> None:
        self._on_progress(
            Progress(
                name=component.name,
                state=state,
                elapsed_s=time.monotonic() - self._begun_s,
                healthy=len(self._healthy),
                total=len(self._wanted),
            )
        )


def _silent(progress: Progress) -> None:
    pass


def _main(found: dict[str, process.Found], component: Component) -> int | None:
    there = found.get(component.name)
    return None if there is None else there.main


def _free_port(name: str, settings: Settings, others: set[int]) -> int:
    """The port of the setting `name` if it is free, else another, unless it was asked for."""
    port: int = getattr(settings, name)
    if port not in others and _is_free(port):
        return port
    if name in settings.given:
        raise UnavailableError(f"port {port} is taken: set {variable(name)} to another, or leave it out")
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free: int = probe.getsockname()[1]
        if free not in others:
            return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _last_words(log: Path) -> str:
    """The line in which a dead process said why it ended: the last that speaks of an error, else the last."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "it wrote nothing"
    said = [line.strip()[:300] for line in lines if line.strip()]
    errors = [line for line in said if re.search(r"error|fatal", line, re.IGNORECASE)]
    return (errors or said or ["it wrote nothing"])[-1]
