"""The runner, asked with small processes of the tests' own: what starts, dies, stays and is cleaned up."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from schemas.errors import InputError, UnavailableError
from streams.embedded import Progress, Stack, process
from streams.embedded.component import Component, Launch
from streams.realtime import LATE_NICENESS, Turn
from streams.settings import STATE_FILE, Settings, load_settings

# Serves a port, and says it by a file, so that no test waits for a time.
SERVER = """
import os, pathlib, socket, sys, time
port, ready = int(sys.argv[1]), pathlib.Path(sys.argv[2])
server = socket.create_server(("127.0.0.1", port))
ready.write_text(str(os.getpid()))
while True:
    server.accept()[0].close()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SERVER
# Starts a child that lives on when its parent is killed.
CHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
PARENT = f"import subprocess, sys; {CHILD}{SERVER}"


def toy(name: str = "toy", code: str = SERVER, port: str = "redis_port", **more: object) -> Component:
    def launch(settings: Settings) -> Launch:
        ready(settings).unlink(missing_ok=True)
        argv = [sys.executable, "-c", code, str(getattr(settings, port)), str(ready(settings))]
        return Launch(argv, dict(os.environ))

    def ready(settings: Settings) -> Path:
        return settings.work_dir / f"{name}.ready"

    def check(settings: Settings) -> str | None:
        return None if ready(settings).exists() else "not ready"

    fields: dict[str, object] = {"healthy_within_s": 30.0, "stops_within_s": 5.0, **more}
    return Component(name=name, launch=launch, check=check, ports=(port,), **fields)  # type: ignore[arg-type]  # the fields vary by test


MakeStack = Callable[..., Stack]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Makes stacks in one work directory, as separate commands would, and stops what is left."""
    work_dir = tmp_path / "work"

    def make(*components: Component, **environ: str) -> Stack:
        settings = load_settings({"HOLDFAST_WORK_DIR": str(work_dir), **environ})
        return Stack(settings, components or (toy(),))

    yield make
    for found in process.find(work_dir).values():
        process.stop(found, 0)


def pids(stack: Stack) -> dict[str, int | None]:
    return {status.name: status.pid for status in stack.status()}


def test_what_may_be_late_gets_less_of_the_processor(stack: MakeStack) -> None:
    running = stack(toy("hurried"), toy("late", port="flink_port", turn=Turn.LATE))
    running.up()
    nice = {name: psutil.Process(pid).nice() for name, pid in pids(running).items() if pid is not None}
    assert nice["late"] - nice["hurried"] == LATE_NICENESS


def test_a_component_runs_after_up_and_is_gone_after_down(stack: MakeStack) -> None:
    stack().up()
    (status,) = stack().status()
    assert status.state == "running" and status.healthy
    assert status.pid is not None

    assert stack().down() == ["toy"]
    (status,) = stack().status()
    assert status.state == "stopped" and status.pid is None


def test_up_again_leaves_alone_what_runs(stack: MakeStack) -> None:
    stack().up()
    before = pids(stack())

    stack().up()

    assert pids(stack()) == before


def test_up_again_starts_only_what_died(stack: MakeStack) -> None:
    components = toy("one"), toy("two", port="broker_port")
    stack(*components).up()
    before = pids(stack(*components))
    kill(before["one"])

    stack(*components).up()

    after = pids(stack(*components))
    assert after["two"] == before["two"]
    assert after["one"] not in (None, before["one"])


def test_children_of_a_killed_component_are_cleaned_up_by_the_next_up(stack: MakeStack) -> None:
    component = toy(code=PARENT)
    stack(component).up()
    every = process.find(stack().settings.work_dir)["toy"].every
    main = pids(stack(component))["toy"]
    kill(main)
    orphans = [child for child in every if child.pid != main]
    assert orphans and all(child.is_running() for child in orphans)

    stack(component).up()

    assert not any(child.is_running() for child in orphans)


def test_children_of_a_killed_component_are_cleaned_up_by_down(stack: MakeStack) -> None:
    component = toy(code=PARENT)
    stack(component).up()
    kill(pids(stack(component))["toy"])

    stack(component).down()

    assert process.find(stack().settings.work_dir) == {}


def test_what_does_not_end_when_asked_is_killed(stack: MakeStack) -> None:
    component = toy(code=STUBBORN, stops_within_s=0.1)
    stack(component).up()

    stack(component).down()

    assert process.find(stack().settings.work_dir) == {}


def test_a_taken_default_port_is_exchanged_for_a_free_one_that_is_remembered(stack: MakeStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        toys = toy()
        first = Stack(Settings(work_dir=stack().settings.work_dir, redis_port=port), (toys,))
        chosen = first.up().redis_port
        assert chosen != port

    assert stack(toys).settings.redis_port == chosen
    assert stack(toys).settings.redis_url == f"redis://127.0.0.1:{chosen}/0"


def test_a_port_that_was_asked_for_is_not_exchanged(stack: MakeStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(UnavailableError, match=f"{port} is taken: set HOLDFAST_REDIS_PORT"):
            stack(HOLDFAST_REDIS_PORT=port).up()


def test_no_two_components_get_the_same_port(stack: MakeStack) -> None:
    settings = Settings(work_dir=stack().settings.work_dir, redis_port=9092)

    moved = Stack(settings, (toy("one", port="broker_port"), toy("two"))).up()

    assert moved.redis_port != moved.broker_port


def test_a_component_starts_when_what_it_needs_is_healthy(stack: MakeStack) -> None:
    seen: list[tuple[str, str]] = []
    components = toy("base"), toy("upper", port="broker_port", needs=("base",))

    def note(progress: Progress) -> None:
        if progress.state != "waiting":
            seen.append((progress.name, progress.state))

    stack(*components).up(on_progress=note)

    assert seen == [("base", "starting"), ("base", "healthy"), ("upper", "starting"), ("upper", "healthy")]


def test_only_what_was_named_is_started_and_stopped(stack: MakeStack) -> None:
    components = toy("one"), toy("two", port="broker_port"), toy("three", port="flink_port")

    stack(*components).up(only=["one", "two"])
    assert stack(*components).down(only=["one"]) == ["one"]

    assert [status.state for status in stack(*components).status()] == ["stopped", "running", "stopped"]


def test_an_unknown_name_is_refused_with_those_that_there_are(stack: MakeStack) -> None:
    with pytest.raises(InputError, match=r"no component is called tritn; there are toy"):
        stack().up(only=["tritn"])


def test_what_ends_while_starting_gives_one_line_with_its_last_words_and_its_log(stack: MakeStack) -> None:
    broken = toy(code="raise SystemExit('no such model')")

    with pytest.raises(UnavailableError) as caught:
        stack(broken).up()

    text = str(caught.value)
    assert "\n" not in text
    assert "no such model" in text and "logs/toy.log" in text


def test_what_never_gets_healthy_is_stopped_and_gives_one_line_with_its_log(stack: MakeStack) -> None:
    silent = toy(code="import time; time.sleep(600)", healthy_within_s=0.3)

    with pytest.raises(UnavailableError, match=r"not ready \(log: .*logs/toy.log\)"):
        stack(silent).up()

    assert process.find(stack().settings.work_dir) == {}


def test_a_component_that_follows_settings_is_started_anew_when_they_change(stack: MakeStack) -> None:
    def launch(settings: Settings) -> Launch:
        base = toy().launch(settings)
        return Launch(base.argv, {**base.env, **settings.variables()})

    def follower(**environ: str) -> Stack:
        component = toy()
        return stack(
            Component(
                name="toy",
                launch=launch,
                check=component.check,
                ports=component.ports,
                follows_settings=True,
            ),
            **environ,
        )

    follower().up()
    before = pids(follower())
    follower().up()
    assert pids(follower()) == before

    follower(HOLDFAST_WATERMARK_BOUND_MS="0").up()

    assert pids(follower()) != before


def test_a_server_of_the_operators_own_is_asked_and_never_started(stack: MakeStack) -> None:
    component = toy(address="redis_url")
    work_dir = stack().settings.work_dir

    with pytest.raises(UnavailableError, match="toy: not ready"):
        stack(component, HOLDFAST_REDIS_URL="redis://redis.example").up()

    (status,) = stack(component, HOLDFAST_REDIS_URL="redis://redis.example").status()
    assert status.state == "unreachable"
    assert process.find(work_dir) == {}


def test_state_survives_down_and_goes_with_wipe(stack: MakeStack) -> None:
    stack().up()
    work_dir = stack().settings.work_dir

    stack().down()
    assert (work_dir / STATE_FILE).exists() and (work_dir / "logs" / "toy.log").exists()

    stack().down(wipe=True)
    assert not work_dir.exists()


def test_a_folder_that_is_no_work_directory_is_not_wiped(stack: MakeStack) -> None:
    work_dir = stack().settings.work_dir
    work_dir.mkdir()
    (work_dir / "letters.txt").write_text("mine")

    with pytest.raises(InputError, match="not removed"):
        stack().down(wipe=True)

    assert (work_dir / "letters.txt").exists()


def test_down_finds_its_processes_when_the_work_directory_was_deleted(stack: MakeStack) -> None:
    stack().up()
    work_dir = stack().settings.work_dir
    work_dir.rename(work_dir.with_name("elsewhere"))

    assert stack().down() == ["toy"]


def test_one_command_at_a_time(stack: MakeStack) -> None:
    def other_command(progress: Progress) -> None:
        with pytest.raises(UnavailableError, match="another holdfast"):
            stack().down()

    stack().up(on_progress=other_command)


def kill(pid: int | None) -> None:
    assert pid is not None
    victim = psutil.Process(pid)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
