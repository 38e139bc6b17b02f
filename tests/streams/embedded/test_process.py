"""What is started outlives the command and the terminal that started it."""

import os
import pty
import sys
from pathlib import Path

from streams.embedded import process

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_it_lives_on_when_the_terminal_is_closed(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if not child:  # in the terminal's own session, as a shell would be
        process.start(SLEEP, os.environ, tmp_path, "sleeper", tmp_path / "sleeper.log")
        os.write(1, b"started")
        os.read(0, 1)
        os._exit(0)
    try:
        assert os.read(terminal, 7) == b"started"
        os.close(terminal)  # the terminal hangs up
        os.waitpid(child, 0)
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
