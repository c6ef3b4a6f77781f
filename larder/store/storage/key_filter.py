"""A filter of keys for the first filling of a store: keys that were never written need no look-up.

Looking up each key in RocksDB takes a sixth of a restore, and nearly always finds nothing. Bits of the keys' hashes
answer for a tenth of that. The filter errs on one side only: it reports every key that was written, and a few others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

_LEAST: Final = 1 << 16
# With more keys in one store the share of needless look-ups grows: half of them at ten million.
_MOST: Final = 1 << 24
_ROOM: Final = 8


class Filling:
    """Keys that were written to a store since it was empty, in `_ROOM` bytes for each."""

    def __init__(self, expected: int) -> None:
        """Make room for `expected` keys: 64 KiB at least, 16 MiB at most."""
        size = 1 << max(_LEAST, min(_MOST, expected * _ROOM)).bit_length() - 1
        self._written = np.zeros(size, dtype=np.bool_)

    def add(self, keys: Sequence[bytes]) -> list[bytes]:
        """Record keys that will be written; return those that may have been written before."""
        places = np.fromiter(map(hash, keys), np.int64, len(keys)) & (len(self._written) - 1)
        found = np.flatnonzero(self._written[places])
        self._written[places] = True
        return [keys[place] for place in found.tolist()]
