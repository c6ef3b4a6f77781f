"""When this process began: the time that a user waits includes imports."""

from __future__ import annotations

import os
import time
from pathlib import Path

# The place of the start time in /proc/self/stat, behind the name in parentheses: see proc_pid_stat(5), field 22.
_START = 19


def process_began() -> float:
    """Give the start of this process on the clock of time.monotonic(); now, on other systems than Linux."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        started = int(fields[_START]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError, ValueError):
        age = 0.0
    return time.monotonic() - age
