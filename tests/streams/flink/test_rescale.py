"""The main job goes on with another parallelism and another state backend, or says why it cannot."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from urllib.request import urlopen

import msgspec
import pytest

from streams.commands.stack import stopped_with_savepoint
from streams.embedded import Stack
from streams.embedded.ours import FLINK
from streams.flink.environment import newest_checkpoint
from streams.flink.rest import Rest
from streams.settings import StateBackend
from tests.streams.conftest import History, OnFlink
from tests.streams.flink.test_job import check, send_all

pytestmark = pytest.mark.real

Change = Callable[[int, StateBackend], None]


@pytest.fixture
def change(on_flink: OnFlink) -> Iterator[Change]:
    """Brings the job up with other settings, and in the end with those that the other tests expect."""
    backends: list[StateBackend] = ["hashmap"]

    def bring_up(parallelism: int, backend: StateBackend) -> None:
        settings = msgspec.structs.replace(
            on_flink.stack.settings, parallelism=parallelism, state_backend=backend
        )
        if backend != backends[-1]:
            stopped_with_savepoint(Stack(settings))
        backends.append(backend)
        Stack(settings).up(only=("flink",))

    yield bring_up
    bring_up(1, "hashmap")


def await_checkpoint(on_flink: OnFlink) -> None:
    rest = Rest(on_flink.stack.settings.flink_port)
    rest.wait_checkpoint_after(rest.checkpoint_triggered_ms() or 0, 60)


def test_a_job_that_is_rescaled_and_changes_its_backend_misses_nothing(
    on_flink: OnFlink, history: History, change: Change
) -> None:
    events, until_ms = history("rescaled", 4)
    third = len(events) // 3
    steps: tuple[tuple[int, StateBackend], ...] = ((2, "hashmap"), (1, "rocksdb"))
    for begin, (parallelism, backend) in zip((0, third), steps, strict=True):
        send_all(on_flink, events[begin : begin + third])
        on_flink.tick(events[begin + third].ts)
        await_checkpoint(on_flink)
        change(parallelism, backend)
        with urlopen(f"http://127.0.0.1:{on_flink.stack.settings.flink_port}/overview") as answer:
            assert json.load(answer)["slots-total"] == parallelism
    send_all(on_flink, events[2 * third :])
    on_flink.carry_on(until_ms)
    check(on_flink, "rescaled", events, until_ms)


@pytest.mark.parametrize("problem", ["another backend", "damaged"])
def test_a_checkpoint_that_cannot_be_restored_is_one_line_and_exit_status_1(
    on_flink: OnFlink, tmp_path: Path, problem: str
) -> None:
    await_checkpoint(on_flink)
    there = newest_checkpoint(on_flink.stack.settings.checkpoints("decisions"))
    assert there is not None
    settings = msgspec.structs.replace(
        on_flink.stack.settings,
        work_dir=tmp_path,
        flink_port=19284,
        state_backend="rocksdb" if problem == "another backend" else "hashmap",
    )
    copy = settings.checkpoints("decisions") / "job" / "chk-1"
    copytree(there, copy)
    if problem == "damaged":
        metadata = copy / "_metadata"
        metadata.write_bytes(metadata.read_bytes()[:100])

    launch = FLINK.launch(settings)
    done = subprocess.run(
        launch.argv, env=launch.env, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("holdfast decisions:")]
    assert f"the checkpoint {copy} cannot be restored" in line
