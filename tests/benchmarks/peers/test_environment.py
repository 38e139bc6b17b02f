"""The environment of the peers holds what our own code needs there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_IMPORTED = """
import sys
from importlib.metadata import packages_distributions
before = {*sys.modules}
import benchmarks.peers.intake
of = packages_distributions()
print(*{name for module in {*sys.modules} - before if "." not in module for name in of.get(module, [])})
"""


@pytest.fixture(scope="module")
def locked() -> set[str]:
    lines = (ROOT / "requirements-peers.lock").read_text().splitlines()
    return {line.partition("==")[0].strip() for line in lines if "==" in line}


def test_what_every_peer_imports_of_ours_is_locked_for_it(locked: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    needed = {name.lower().replace("_", "-") for name in done.stdout.split()} - {"holdfast"}
    assert "msgspec" in needed and needed <= locked
