"""Where the figures come from."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil

from streams.realtime import is_allowed


def machine() -> dict[str, Any]:
    """Processor, memory, what else ran on it, and whether decisions may go first (`streams.realtime`)."""
    names = (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name"))
    return {
        "cpu": next(names, platform.processor() or platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "real_time": is_allowed(),
        "python": platform.python_version(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
