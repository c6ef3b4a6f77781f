"""The moment up to which deadlines of waiting records apply, given what their tables have read. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from larder.kafka.batch_consumer import ObservedEnd


class PartnerTable(Protocol):
    """A table with the rows that records wait for, and the ends of its partitions."""

    def caught_up(self) -> bool: ...

    def ends(self) -> Mapping[int, ObservedEnd]:
        """Return the end of each relevant partition, and when it was observed."""

    def has_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        """Return whether the applied positions are at or past `ends`."""


class Deadlines:
    """Deadlines apply up to the moment at which ends were observed that all tables have now passed.

    A lagging table must not expire records whose partner exists.
    """

    def __init__(self, tables: Sequence[PartnerTable]) -> None:
        self._tables = tables
        self._observed: tuple[float, list[Mapping[int, ObservedEnd]]] | None = None
        self._cleared_until = 0.0

    def cleared_until(self) -> float:
        """Return that moment in seconds since the epoch."""
        now = [table.ends() for table in self._tables]
        if self._observed is None or any(map(_recreated, self._observed[1], now)):
            moments = [observed.at for each in now for observed in each.values()]
            self._observed = (min(moments, default=0.0), now)
        moment, ends = self._observed
        if all(table.has_passed(each) for table, each in zip(self._tables, ends, strict=True)):
            self._cleared_until = max(self._cleared_until, moment)
            self._observed = None
        return self._cleared_until


def _recreated(before: Mapping[int, ObservedEnd], now: Mapping[int, ObservedEnd]) -> bool:
    """Return whether the topic was recreated: the observed ends may then never be reached."""
    return any(now[partition].end < end.end for partition, end in before.items() if partition in now)
