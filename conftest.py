"""What holds for every test: an environment that says nothing, and modules that Python alone can import."""

import os
import signal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hypothesis import settings

# A person's settings, and how their terminal looks. Libraries read it while they are imported.
_OURS = "HOLDFAST_"
_LOOKS = ("FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH", "TTY_COMPATIBLE")
for name in [name for name in os.environ if name.startswith(_OURS) or name in _LOOKS]:
    del os.environ[name]

# A shell that starts the tests in the background has Ctrl-C ignored, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Triton loads what lies there, by its path.
collect_ignore = ["inference/model_repository"]


def needs_the_extra(path: Path) -> bool:
    """Whether a library is missing that only trainings need, and that is not installed everywhere."""
    try:
        import_module(".".join(path.relative_to(HERE).with_suffix("").parts))
    except ModuleNotFoundError as error:
        return (error.name or "").partition(".")[0] in EXTRA
    return False


HERE = Path(__file__).parent
EXTRA = {"onnx", "onnx_ir", "peft", "safetensors", "torch", "transformers"}
TRAINING = [
    *(HERE / "inference" / "training").rglob("[a-z]*.py"),
    HERE / "streams" / "risk" / "training.py",
    HERE / "benchmarks" / "events.py",
    HERE / "benchmarks" / "tried.py",
]
if find_spec("torch") is None:
    collect_ignore += [str(path) for path in TRAINING if needs_the_extra(path)]
# The peers are not in this environment.
collect_ignore += [f"benchmarks/peers/{name}_peer.py" for name in ("bytewax", "faust", "quix")]
