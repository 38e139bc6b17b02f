"""What holds for every test: an environment that says nothing, and modules that Python alone can import."""

import os
from importlib.util import find_spec

# A person's settings, and how their terminal looks. Libraries read it while they are imported.
_OURS = "HOLDFAST_"
_LOOKS = ("FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH", "TTY_COMPATIBLE")
for name in [name for name in os.environ if name.startswith(_OURS) or name in _LOOKS]:
    del os.environ[name]

# Triton loads what lies there, by its path.
collect_ignore = ["inference/model_repository"]
if find_spec("torch") is None:
    needing_it = ("loop", "model", "nano", "pace", "tokenizer")
    collect_ignore += [f"inference/training/{name}.py" for name in needing_it]
# The peers are not in this environment.
collect_ignore += [f"benchmarks/peers/{name}_peer.py" for name in ("bytewax", "faust", "quix")]
