"""`holdfast up`, `down`, `status`, `savepoint`: the embedded stack."""

from typing import Annotated

import typer
from rich.table import Table

from schemas.errors import UnavailableError
from streams.commands.output import AsJson, notice, out, print_json, progress
from streams.embedded import Progress, Stack
from streams.flink.rest import KnownRules, Rest
from streams.settings import Settings, load_settings

_SAVEPOINT_WITHIN_S = 600.0

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Only this component; may be given several times."),
]


def up(only: Only = None, as_json: AsJson = False) -> None:
    """Start the stack: broker, Redis, Triton, the Flink job and the agents. What runs is left alone.

    State, logs and chosen ports are kept in the work directory (HOLDFAST_WORK_DIR). After a crash, the
    Flink job goes on from its newest checkpoint. Servers whose address is given (HOLDFAST_BOOTSTRAP_SERVERS,
    HOLDFAST_REDIS_URL, HOLDFAST_TRITON_URL) are used and not started.

    Example: holdfast up
    Example: holdfast up --only broker --only redis
    """
    stack = Stack(load_settings())
    started_up(stack, only)
    _show(stack, as_json)


def started_up(stack: Stack, only: list[str] | None = None) -> Settings:
    """Bring `stack` up with a progress bar on stderr."""
    with progress() as shown:
        bar = shown.add_task("starting", total=None)

        def tell(step: Progress) -> None:
            shown.update(
                bar, description=f"{step.name}: {step.state}", completed=step.healthy, total=step.total
            )
            if shown.disable and step.state == "healthy":
                notice(f"{step.name} is healthy after {step.elapsed_s:.1f} s ({step.healthy}/{step.total})")

        return stack.up(only, tell)


def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete state, topics and logs as well.")] = False,
    only: Only = None,
    as_json: AsJson = False,
) -> None:
    """Stop the stack, the last started first. Its state stays, unless --wipe deletes the work directory.

    Example: holdfast down --wipe
    """
    stopped = Stack(load_settings()).down(wipe=wipe, only=only)
    if as_json:
        print_json({"stopped": stopped, "wiped": wipe})
        return
    out.print(f"stopped: {', '.join(stopped) or 'nothing ran'}" + (", and wiped" if wipe else ""))


def savepoint(as_json: AsJson = False) -> None:
    """Stop the main job with a savepoint, for a change of HOLDFAST_STATE_BACKEND. `up` goes on from it.

    Other changes need none: the job goes on from its newest checkpoint, with another parallelism too.

    Example: holdfast savepoint && HOLDFAST_STATE_BACKEND=rocksdb holdfast up
    """
    written = stopped_with_savepoint(Stack(load_settings()))
    if as_json:
        print_json({"savepoint": written})
        return
    out.print(f"stopped: flink, and a savepoint was written: {written}", soft_wrap=True)


def stopped_with_savepoint(stack: Stack) -> str:
    """Stop the main job of `stack`; where its savepoint lies.

    Raises:
        UnavailableError: the job does not run here, or cannot write a savepoint; it goes on then.
    """
    settings = stack.settings
    if not any(component.name == "flink" and component.pid for component in stack.status()):
        raise UnavailableError("the main job does not run: bring it up first (holdfast up)")
    target = settings.checkpoints("decisions")
    written = Rest(settings.flink_port).stop_with_savepoint(target, _SAVEPOINT_WITHIN_S)
    stack.down(only=("flink",))
    return str(written)


def status(as_json: AsJson = False) -> None:
    """Say of each component whether it serves, on which ports, and where its log is.

    The exit status is 0 when all serve, and 1 otherwise.

    Example: holdfast status --json | jq '.components[] | select(.healthy | not)'
    """
    if not _show(Stack(load_settings()), as_json):
        raise typer.Exit(1)


def _show(stack: Stack, as_json: bool) -> bool:
    found, settings = stack.status(), stack.settings
    healthy = all(component.healthy for component in found)
    rules = _rules(settings)
    if as_json:
        components = [
            {
                "name": component.name,
                "state": component.state,
                "healthy": component.healthy,
                "pid": component.pid,
                "ports": component.ports,
                "problem": component.problem,
                "log": component.log,
            }
            for component in found
        ]
        addresses = {
            "bootstrap_servers": settings.bootstrap_servers,
            "redis_url": settings.redis_url,
            "triton_url": settings.triton_url,
        }
        print_json({"healthy": healthy, **addresses, "components": components, "rules": rules})
        return healthy
    table = Table("component", "state", "pid", "ports", "what is wrong", box=None, pad_edge=False)
    for component in found:
        colour = "green" if component.healthy else "dim" if component.state == "stopped" else "red"
        ports = ", ".join(f"{name.removesuffix('_port')} {port}" for name, port in component.ports.items())
        problem = f"{component.problem} (log: {component.log})" if component.problem else ""
        table.add_row(
            component.name, f"[{colour}]{component.state}[/]", str(component.pid or ""), ports, problem
        )
    out.print(table)
    out.print(f"Kafka {settings.bootstrap_servers}, Redis {settings.redis_url}, Triton {settings.triton_url}")
    if rules is None:
        out.print("rules: none are followed before the first record")
    else:
        out.print(f"rules: {rules.versions} versions, certain as of {rules.silent_s:.1f} s ago")
    return healthy


def _rules(settings: Settings) -> KnownRules | None:
    """What the main job says of the rules that it follows; None where it does not run, or has read none."""
    try:
        return Rest(settings.flink_port).rules()
    except UnavailableError:
        return None
