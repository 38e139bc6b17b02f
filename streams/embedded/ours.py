"""Triton, and the processes of our own code: the Flink job and the agents."""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from inference.tritonserver import command
from schemas.errors import UnavailableError
from streams.agents import (
    ASSESSOR_GROUP,
    COMPOSER_GROUP,
    DRAFTER_GROUP,
    OUTCOMES_GROUP,
    SEQUENCES_GROUP,
    SIEVE_GROUP,
)
from streams.embedded.component import Component, Launch
from streams.flink.rest import Rest
from streams.following import SILENT_S
from streams.realtime import Turn
from streams.settings import Settings
from streams.topics import group_state

_TIMEOUT_S = 1.0


def _triton(settings: Settings) -> Launch:
    argv, env = command(
        settings.model_repository,
        settings.triton_grpc_port,
        settings.triton_http_port,
        settings.triton_metrics_port,
        settings.work_dir / "triton",
    )
    return Launch(argv, env)


def _triton_ready(settings: Settings) -> str | None:
    # An external Triton is known by its gRPC address alone, and asked by the client that calls it.
    if "triton_url" in settings.given:
        return None
    return _get(f"http://127.0.0.1:{settings.triton_http_port}/v2/health/ready")[1]


def _module(name: str, settings: Settings) -> Launch:
    """`python -m name` (and arguments), with this interpreter first on the path, for Flink's workers."""
    env = {**os.environ, **settings.variables()}
    env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", os.defpath)))
    return Launch([sys.executable, "-m", *name.split()], env)


def _job_runs(settings: Settings) -> str | None:
    """None when the job runs, with all its tasks."""
    body, problem = _get(f"http://127.0.0.1:{settings.flink_port}/jobs/overview")
    if problem is not None:
        return problem
    jobs = json.loads(body).get("jobs", ())
    if any(job["state"] == "RUNNING" and job["tasks"]["running"] == job["tasks"]["total"] for job in jobs):
        return None
    return f"job is {', '.join(job['state'] for job in jobs) or 'not there yet'}"


def _decides(settings: Settings) -> str | None:
    """None when the main job runs, and by rules that are those of the topic."""
    problem = _job_runs(settings)
    if problem is not None:
        return problem
    try:
        known = Rest(settings.flink_port).rules()
    except UnavailableError as error:
        return str(error)
    if known is None or known.silent_s <= SILENT_S:
        return None
    return f"nothing was heard of the rules for {known.silent_s:.0f} s: it decides by those of before"


def _get(url: str) -> tuple[bytes, str | None]:
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:
            return answer.read(), None
    except HTTPError as error:
        error.close()
        return b"", f"{url} answers {error.code}"
    except (OSError, HTTPException) as error:
        return b"", f"no answer at {url}: {error}"


def _lives(settings: Settings) -> str | None:
    """For a process that shows its health by living: it ends when it cannot do its work."""
    return None


def _consumes(group: str, settings: Settings) -> str | None:
    """None when the consumers of the group have their partitions."""
    try:
        state = group_state(settings.bootstrap_servers, group)
    except UnavailableError as error:
        return str(error)
    return None if state == "Stable" else f"its consumer group is {state}"


def _agent(
    name: str,
    module: str,
    needs: tuple[str, ...],
    check: Callable[[Settings], str | None] = _lives,
    turn: Turn = Turn.EQUAL,
) -> Component:
    return Component(
        name=name,
        launch=partial(_module, module),
        check=check,
        needs=needs,
        healthy_within_s=180.0,
        follows_settings=True,
        turn=turn,
    )


TRITON = Component(
    name="triton",
    launch=_triton,
    check=_triton_ready,
    ports=("triton_grpc_port", "triton_http_port", "triton_metrics_port"),
    address="triton_url",
)
FLINK = Component(
    name="flink",
    launch=partial(_module, "streams.flink.job"),
    check=_decides,
    ports=("flink_port",),
    needs=("broker",),
    healthy_within_s=180.0,
    follows_settings=True,
)
OURS = (
    _agent("sieve", "streams.agents sieve", ("broker",), partial(_consumes, SIEVE_GROUP)),
    FLINK,
    _agent(
        "assessor",
        "streams.agents assessor",
        ("broker", "redis"),
        partial(_consumes, ASSESSOR_GROUP),
        turn=Turn.LATE,
    ),
    _agent(
        "composer",
        "streams.agents composer",
        ("broker", "redis", "triton"),
        partial(_consumes, COMPOSER_GROUP),
        turn=Turn.FIRST,
    ),
    _agent(
        "drafter", "streams.agents drafter", ("broker", "redis", "triton"), partial(_consumes, DRAFTER_GROUP)
    ),
    _agent(
        "sequences",
        "streams.agents sequences",
        ("broker", "redis"),
        partial(_consumes, SEQUENCES_GROUP),
        turn=Turn.LATE,
    ),
    _agent(
        "outcomes",
        "streams.agents outcomes",
        ("broker", "redis"),
        partial(_consumes, OUTCOMES_GROUP),
        turn=Turn.LATE,
    ),
    _agent("ticker", "streams.agents.ticker", ("broker",)),
)
