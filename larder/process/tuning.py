"""Settings of this process's interpreter and allocator for the path of records."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

GARBAGE: Final = (50_000, 20, 20)
"""The garbage collector's threshold: the path of records makes no cycles, and a collection stops everything."""

SWITCH_SECONDS: Final = 0.0005
"""How long the consumer's thread may hold the interpreter while the event loop waits (Python's default: 5 ms)."""

MIB: Final = 1 << 20

MALLOC: Final = {"M_TRIM_THRESHOLD": (-1, 256 * MIB), "M_TOP_PAD": (-2, 16 * MIB), "M_MMAP_THRESHOLD": (-3, 32 * MIB)}
"""Parameters of glibc's mallopt(3), by number. Fetched batches and requests are short-lived megabytes. glibc
takes each from the kernel and returns it, which cost joins 5 % of their rate."""


def for_records() -> None:
    """Apply the settings; call once, after all imports and before the first record."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(SWITCH_SECONDS)
    allocator = ctypes.CDLL(None)
    if hasattr(allocator, "mallopt"):
        for parameter, value in MALLOC.values():
            allocator.mallopt(parameter, value)
