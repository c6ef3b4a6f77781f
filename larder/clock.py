"""The clock of a process: seconds since the epoch, taken once at its start, plus what has passed since.

Ages, deadlines and freshness are differences between its readings. The wall clock would not do: somebody who sets it
back by ten minutes would make a copy look fresh for ten minutes longer. Time in which the machine slept counts.
"""

from __future__ import annotations

import time
from functools import partial

_passed = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
_BEGAN = time.time() - _passed()


def now() -> float:
    """Seconds since the epoch."""
    return _BEGAN + _passed()
