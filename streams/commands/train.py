"""`holdfast train`: models that the project trains itself."""

from importlib.util import find_spec

import typer

from schemas.errors import InputError

app = typer.Typer(help="Train the models that holdfast makes itself.", no_args_is_help=True)
EXTRA = ("torch", "transformers", "onnx", "tokenizers")


@app.callback()
def _group() -> None:
    """Train the models that holdfast makes itself."""


def needs_extra() -> None:
    """Say which command installs what is missing, if something is."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training needs {', '.join(missing)}: install them with  uv pip install -e '.[train]'"
        )
