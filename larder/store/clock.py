"""The clock that a worker goes by: seconds since the epoch, as at the start of the process, and never set.

Ages, deadlines and freshness are differences between its readings. The wall clock will not do: set back by
ten minutes, it would make a copy look fresh for as long. Time in which the machine slept counts.
"""

from __future__ import annotations

import time
from functools import partial

_passed = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
_BEGAN = time.time() - _passed()


def now() -> float:
    """Seconds since the epoch."""
    return _BEGAN + _passed()
