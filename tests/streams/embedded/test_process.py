"""What is started outlives the command and the terminal that started it."""

import os
import pty
import sys
from pathlib import Path

from streams.embedded import process

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


# What a shell does whose terminal is closed: it ends, by the signal or by what it reads.
SHELL = f"""
import os, sys
from pathlib import Path
from streams.embedded import process
folder = Path(sys.argv[1])
process.start({SLEEP!r}, os.environ, folder, "sleeper", folder / "sleeper.log")
print("started", flush=True)
try:
    os.read(0, 1)
except OSError:
    pass
"""


def test_it_lives_on_when_the_terminal_is_closed(tmp_path: Path) -> None:
    shell, terminal = pty.fork()
    if not shell:
        os.execv(sys.executable, [sys.executable, "-c", SHELL, str(tmp_path)])
    try:
        assert os.read(terminal, 7) == b"started"
        os.close(terminal)
        os.waitpid(shell, 0)
        found = process.find(tmp_path)["sleeper"]
        assert found.main is not None and process.lives(found.main)
    finally:
        process.stop(process.find(tmp_path)["sleeper"], within_s=5)
    assert process.find(tmp_path) == {}


def test_it_shares_its_starters_session_and_leads_a_group_of_its_own(tmp_path: Path) -> None:
    """Linux divides the processor between sessions first: a component in its own waits for all others."""
    pid = process.start(SLEEP, os.environ, tmp_path, "sleeper", tmp_path / "sleeper.log")
    try:
        assert os.getsid(pid) == os.getsid(0)
        assert os.getpgid(pid) == pid
    finally:
        process.stop(process.find(tmp_path)["sleeper"], within_s=5)
