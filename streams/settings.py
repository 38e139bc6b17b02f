"""What an operator sets: small frozen values, and the one module that reads the environment.

| variable | default | what it is |
| --- | --- | --- |
| `HOLDFAST_WORK_DIR` | `.work` of the project | state, logs and checkpoints of the embedded stack |
| `HOLDFAST_JARS_DIR` | `jars` of the project | folders `broker` and `flink`, as the pom.xml fills them |
| `HOLDFAST_BOOTSTRAP_SERVERS` | the embedded broker | `host:port,…` of your own Kafka; none is started then |
| `HOLDFAST_REDIS_URL` | the embedded Redis | `redis://…` or `unix://…` of your own; none is started then |
| `HOLDFAST_TRITON_URL` | the embedded Triton | gRPC `host:port` of your own; none is started then |
| `HOLDFAST_MODEL_REPOSITORY` | that of the project | the versions of the models, as Triton serves them |
| `HOLDFAST_TENANTS_FILE` | none | tenants' products, offers and links, JSON or YAML |
| `HOLDFAST_WATERMARK_BOUND_MS` | 1000 | how far out of order events of one partition may come |
| `HOLDFAST_BUDGET_MS` | 50 | detection to publication |
| `HOLDFAST_PUBLISH_MARGIN_MS` | 10 | the part of the budget that is kept for publishing |
| `HOLDFAST_DRAFT_LEAD_MS` | 300000 | how long before a crossing its script is written; 0 for never |
| `HOLDFAST_DRAFTS_AT_ONCE` | 1 | scripts that the model writes at the same time: 32 on a GPU |
| `HOLDFAST_PARALLELISM` | 1 | parallel instances of each Flink operator |
| `HOLDFAST_CHECKPOINT_INTERVAL_MS` | 10000 | time between the checkpoints of the Flink job |
| `HOLDFAST_STATE_BACKEND` | `hashmap` | the main job's state: `hashmap`, on the heap, or `rocksdb`, on disk |
| `HOLDFAST_FLINK_HEAP_MB` | 1024 | heap of the main job's JVM on the embedded stack |

Ports of the embedded servers on 127.0.0.1: `HOLDFAST_BROKER_PORT` (9092), `HOLDFAST_CONTROLLER_PORT` (9093),
`HOLDFAST_REDIS_PORT` (6379), `HOLDFAST_TRITON_GRPC_PORT` (8001), `HOLDFAST_TRITON_HTTP_PORT` (8000),
`HOLDFAST_TRITON_METRICS_PORT` (8002), and Flink's REST port, `HOLDFAST_FLINK_PORT` (8081). Where the default
is taken, the embedded stack chooses a free port and notes it in `stack.json` in the work directory, where
every later command finds it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from schemas.errors import InputError

PREFIX = "HOLDFAST_"
STATE_FILE = "stack.json"
"""In the work directory: the ports that the embedded stack chose."""

Port = Annotated[int, Meta(ge=1, le=65535)]
Milliseconds = Annotated[int, Meta(ge=0)]
Text = Annotated[str, Meta(min_length=1)]
StateBackend = Literal["hashmap", "rocksdb"]

_PROJECT = Path(__file__).resolve().parent.parent
_ADDRESSES = {
    "bootstrap_servers": ("broker_port", "127.0.0.1:{}"),
    "redis_url": ("redis_port", "redis://127.0.0.1:{}/0"),
    "triton_url": ("triton_grpc_port", "127.0.0.1:{}"),
}


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of this process, each documented at the head of the module.

    `given` names those that the environment stated: a server whose address was given is not ours to
    start, and a port that was given is not exchanged for another.
    """

    work_dir: Path = _PROJECT / ".work"
    jars_dir: Path = _PROJECT / "jars"
    bootstrap_servers: Text = "127.0.0.1:9092"
    redis_url: Text = "redis://127.0.0.1:6379/0"
    triton_url: Text = "127.0.0.1:8001"
    model_repository: Path = _PROJECT / "inference" / "model_repository"
    tenants_file: Path | None = None
    watermark_bound_ms: Milliseconds = 1000
    budget_ms: Annotated[int, Meta(ge=1)] = 50
    publish_margin_ms: Milliseconds = 10
    draft_lead_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 300_000
    drafts_at_once: Annotated[int, Meta(ge=1, le=64)] = 1
    parallelism: Annotated[int, Meta(ge=1, le=8)] = 1
    checkpoint_interval_ms: Annotated[int, Meta(ge=10)] = 10_000
    state_backend: StateBackend = "hashmap"
    flink_heap_mb: Annotated[int, Meta(ge=256)] = 1024
    broker_port: Port = 9092
    controller_port: Port = 9093
    redis_port: Port = 6379
    triton_grpc_port: Port = 8001
    triton_http_port: Port = 8000
    triton_metrics_port: Port = 8002
    flink_port: Port = 8081
    given: frozenset[str] = frozenset()

    def checkpoints(self, job: str) -> Path:
        """The folder in which the Flink job of that name keeps its checkpoints."""
        return self.work_dir / "checkpoints" / job

    def variables(self) -> dict[str, str]:
        """The environment variables that give another process these settings."""
        values = {name: getattr(self, name) for name in _NAMES}
        return {variable(name): str(value) for name, value in values.items() if value is not None}


_NAMES = tuple(name for name in Settings.__struct_fields__ if name != "given")


def variable(name: str) -> str:
    """The environment variable of a setting.

    >>> variable("budget_ms")
    'HOLDFAST_BUDGET_MS'
    """
    return PREFIX + name.upper()


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `environ` states, then what the embedded stack noted, then the defaults.

    Raises:
        InputError: a value cannot be used; the text names the variable and the problem.
    """
    stated = {name: environ[variable(name)] for name in _NAMES if environ.get(variable(name))}
    given = _converted(stated)
    noted = noted_ports(given.work_dir)
    settings = msgspec.structs.replace(
        given,
        given=frozenset(stated),
        **{name: port for name, port in noted.items() if name not in stated},
    )
    return with_ports(settings, {})


def with_ports(settings: Settings, ports: Mapping[str, int]) -> Settings:
    """`settings` with the embedded servers on other ports, and the addresses that follow from them."""
    moved = msgspec.structs.replace(settings, **ports)
    addresses = {
        name: form.format(getattr(moved, port))
        for name, (port, form) in _ADDRESSES.items()
        if name not in settings.given
    }
    return msgspec.structs.replace(moved, **addresses)


def noted_ports(work_dir: Path) -> dict[str, int]:
    """The ports that the embedded stack noted in `work_dir`; none where there is no stack.

    Raises:
        InputError: the note cannot be read.
    """
    path = work_dir / STATE_FILE
    try:
        ports = msgspec.json.decode(path.read_bytes(), type=dict[str, Port])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; delete it to let ports be chosen anew") from error
    return {name: port for name, port in ports.items() if name in _NAMES}


def _converted(stated: Mapping[str, str]) -> Settings:
    """Each value alone, so that the error names its variable."""
    for name, text in stated.items():
        try:
            _convert({name: text})
        except msgspec.ValidationError as error:
            problem = str(error).split(" - at ")[0]
            raise InputError(f"{variable(name)}={text!r}: {problem}") from None
    return _convert(stated)


def _convert(stated: Mapping[str, str]) -> Settings:
    return msgspec.convert(stated, Settings, strict=False, dec_hook=_path)


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path:
        return Path(value).expanduser().resolve()  # other processes stand elsewhere
    raise NotImplementedError(f"no setting is a {kind}")
