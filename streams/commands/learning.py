"""What the trainings have in common on the command line: the extra that they need, progress, and the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from streams.commands.output import notice, out, print_json, progress

Report = Callable[[str, int, int, str], None]
"""Takes the stage, how much of it is done, all of it, and a remark."""


def require(*libraries: str) -> None:
    """Refuses to go on where one of `libraries`, which come with the extra `train`, is not installed.

    Raises:
        InputError: so it is.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training needs {', '.join(missing)}: install the extra with  uv pip install -e '.[train]'"
        )


@contextmanager
def reporting() -> Iterator[Report]:
    """A bar on a terminal, and lines elsewhere."""
    with progress() as shown:
        bar = shown.add_task("starting", total=None)

        def report(stage: str, done: int, total: int, remark: str) -> None:
            shown.update(bar, description=f"{stage} {remark}".strip(), completed=done, total=total)
            if shown.disable:
                notice(f"{stage}: {done}/{total} {remark}")

        yield report


def tell(metrics: dict[str, Any], folder: Path, as_json: bool) -> None:
    """What came of a training."""
    if as_json:
        print_json(metrics)
    else:
        out.print(f"the model and its card are in {folder}")
