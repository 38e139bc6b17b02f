"""redis-server as a process of ours. Its content is written to disk when it stops, not as it runs."""

import os
import shutil

import redis

from schemas.errors import UnavailableError
from streams.embedded.component import Component, Launch
from streams.realtime import Turn
from streams.settings import Settings

_TIMEOUT_S = 1.0


def launch(settings: Settings) -> Launch:
    """Give the server's command.

    Raises:
        UnavailableError: redis-server is missing.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise UnavailableError("redis-server is not installed: run make setup, or install redis-server")
    folder = settings.work_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": "127.0.0.1",
        "port": str(settings.redis_port),
        "dir": str(folder),
        "appendonly": "no",
        "save": "3600 1",
        # A process title would be written over the environment, by which the stack knows its processes.
        "set-proc-title": "no",
    }
    argv = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
    return Launch(argv, dict(os.environ))


def check(settings: Settings) -> str | None:
    """None when the server answers."""
    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    )
    try:
        client.ping()
    except redis.RedisError as error:
        return f"no answer at {settings.redis_url}: {error}"
    finally:
        client.close()
    return None


REDIS = Component(
    name="redis",
    launch=launch,
    check=check,
    ports=("redis_port",),
    address="redis_url",
    healthy_within_s=20.0,
    turn=Turn.FIRST,
)
