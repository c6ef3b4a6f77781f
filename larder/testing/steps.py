"""The contract of operators in tests: what each kind does with the records of its inputs, one by one.

A kind registers it: `open_in_memory` for its declaration. Operators of a kind that registers nothing are left out.
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
    """What an operator does with records. A kind says of itself what differs from this one.

    inputs  what takes the records of each of its sources, one by one. It raises ValueError, with
            the cause, for a record that becomes a dead letter.
    """

    inputs: Mapping[Source, Callable[[MemoryRecord], None]]

    def due(self) -> float:
        """Give the time, in seconds since 1970, at which it has something to do without a record."""
        return inf

    def tick(self) -> bool:
        """Do one thing that rows or the clock allow by now, and say whether there was one."""
        return False


@singledispatch
def open_in_memory(operator: object, run: MemoryRun) -> MemoryStep | None:  # noqa: ARG001 - by kind
    """Open an operator in a run; None for one that is left out, since it may do anything."""
    return None
