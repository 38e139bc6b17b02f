"""A stack of a benchmark's own, in a temporary folder."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streams.commands.output import notice
from streams.embedded import Stack
from streams.settings import Settings


@contextmanager
def own_stack(settings: Settings) -> Iterator[Stack]:
    """A stack with `settings` but for its folder, stopped and removed after the block.

    Where the block fails, or SIGTERM ends it, the folder stays for its logs.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    work_dir = Path(tempfile.mkdtemp(prefix="holdfast-benchmark-"))
    stack = Stack(msgspec.structs.replace(settings, work_dir=work_dir))
    try:
        yield stack
    except BaseException:
        notice(f"the logs are kept in {work_dir / 'logs'}")
        stack.down()
        raise
    stack.down()
    shutil.rmtree(work_dir)
