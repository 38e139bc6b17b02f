"""The candidates: the main job and its peers, each as a component that the embedded stack starts."""

import os
import sys
from functools import partial
from pathlib import Path

import msgspec

from schemas.errors import InputError
from streams.embedded.component import Component, Launch
from streams.embedded.ours import OURS
from streams.settings import Settings

_ROOT = Path(__file__).parent.parent.parent
_OURS = {component.name: component for component in OURS}
TICKER = _OURS["ticker"]

IN_PEERS = ("bytewax", "quix", "faust", "aiokafka")
"""Those that run in the peers' environment, each in one process of Python."""
NAMES = ("holdfast", "pyflink", *IN_PEERS)
SILENT = {
    "holdfast": "event-time timer",
    "pyflink": "event-time timer",
    "bytewax": "key looks by the wall clock",
    "quix": "at the user's next event",
    "faust": "at the user's next event",
    "aiokafka": "at the user's next event",
}
"""When a user is seen declining who sends nothing any more."""


def candidate(name: str, python: Path) -> tuple[Component, ...]:
    """The components of the candidate `name`, of which peers run under the interpreter `python`.

    Raises:
        InputError: there is no such interpreter.
    """
    if name == "holdfast":
        return _OURS["sieve"], _OURS["flink"]
    if name == "pyflink":
        launch = partial(_launch, [sys.executable, "-m", "benchmarks.peers.pyflink_peer"])
        return (msgspec.structs.replace(_OURS["flink"], name=name, launch=launch),)
    if not python.exists():
        raise InputError(f"{python} is not there: run make peers-setup")
    launch = partial(_launch_peer, name, python)
    return (Component(name=name, launch=launch, check=lambda settings: None, needs=("broker",)),)


def _launch_peer(name: str, python: Path, settings: Settings) -> Launch:
    argv = [str(python), "-m", f"benchmarks.peers.{name}_peer"]
    argv += ["--bootstrap", settings.bootstrap_servers, "--state-dir", str(settings.work_dir / name)]
    argv += ["--save-every-s", str(settings.checkpoint_interval_ms / 1000)]
    argv += ["--bound-ms", str(settings.watermark_bound_ms)]
    return _launch(argv, settings)


def _launch(argv: list[str], settings: Settings) -> Launch:
    env = {**os.environ, **settings.variables(), "PYTHONPATH": str(_ROOT)}
    env["PATH"] = os.pathsep.join((str(Path(argv[0]).parent), env.get("PATH", os.defpath)))
    return Launch(argv, env)
