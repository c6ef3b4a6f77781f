"""The first filling of a store: which of its keys need not be asked for, since nothing was written under them.

To ask RocksDB for each key of a restore costs a sixth of it, and the answer is nearly always that there is none.
Bits of the keys' hashes tell the same for a tenth of that. It may err on one side only: a key that was written is
always told, whatever else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

_LEAST: Final = 1 << 16
# For more keys than that in one store more and more are asked for that are not there: half of them at ten million.
_MOST: Final = 1 << 24
_ROOM: Final = 8


class Filling:
    """Keys that were written to a store since it was empty, in one byte for each of `_ROOM` times as many."""

    def __init__(self, expected: int) -> None:
        """Make room for `expected` keys: 64 KiB at least, 16 MiB at most."""
        size = 1 << max(_LEAST, min(_MOST, expected * _ROOM)).bit_length() - 1
        self._written = np.zeros(size, dtype=np.bool_)

    def add(self, keys: Sequence[bytes]) -> list[bytes]:
        """Note that keys are about to be written; gives those that may have been written before."""
        places = np.fromiter(map(hash, keys), np.int64, len(keys)) & (len(self._written) - 1)
        found = np.flatnonzero(self._written[places])
        self._written[places] = True
        return [keys[place] for place in found.tolist()]
