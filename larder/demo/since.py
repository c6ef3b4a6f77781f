"""The start time of this process. Users also wait for its imports, so measurements begin there."""

from __future__ import annotations

import os
import time
from pathlib import Path

# Index of the start time in /proc/self/stat after the name in parentheses: field 22 of proc_pid_stat(5).
_START = 19


def process_began() -> float:
    """Return the start of this process by time.monotonic(), or the current time on systems other than Linux."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        started = int(fields[_START]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError, ValueError):
        age = 0.0
    return time.monotonic() - age
