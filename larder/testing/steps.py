"""The contract of operators in tests: how each kind processes the records of its inputs, one by one.

A kind registers `open_in_memory` for its declaration. Operators of a kind that registers nothing do not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from math import inf
from typing import TYPE_CHECKING

from larder.declaring.sources import Source

if TYPE_CHECKING:
    from larder.testing.records import MemoryRecord
    from larder.testing.run import MemoryRun


class MemoryStep:
    """An operator that processes records in memory. Each kind overrides what differs.

    inputs  the function that takes the records of each source, one by one. It raises ValueError,
            with the cause, for a record that becomes a dead letter.
    """

    inputs: Mapping[Source, Callable[[MemoryRecord], None]]

    def due(self) -> float:
        """Return the time, in seconds since 1970, at which it has something to do without a record."""
        return inf

    def tick(self) -> bool:
        """Do one thing that rows or the clock now allow; return whether there was one."""
        return False


@singledispatch
def open_in_memory(operator: object, run: MemoryRun) -> MemoryStep | None:  # noqa: ARG001 - by kind
    """Open an operator in a run; return None for one that does not run, since its code may do anything."""
    return None
