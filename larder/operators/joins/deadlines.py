"""Until which moment the deadlines of waiting records count, by what their tables have read. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from larder.kafka.batch_consumer import ObservedEnd


class PartnerTable(Protocol):
    """A table with rows that records wait for, as far as its end is concerned."""

    def caught_up(self) -> bool: ...

    def ends(self) -> Mapping[int, ObservedEnd]:
        """For each partition that matters: its end, and when that was observed."""

    def has_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        """The applied positions are at or past `ends`."""


class Deadlines:
    """They count until the moment at which ends were observed that all tables have passed since.

    A table that lags must not expire records whose partner exists.
    """

    def __init__(self, tables: Sequence[PartnerTable]) -> None:
        self._tables = tables
        self._looked: tuple[float, list[Mapping[int, ObservedEnd]]] | None = None
        self._cleared_until = 0.0

    def cleared_until(self) -> float:
        """That moment, in seconds since the epoch."""
        now = [table.ends() for table in self._tables]
        if self._looked is None or any(map(_fell, self._looked[1], now)):
            moments = [seen.at for each in now for seen in each.values()]
            self._looked = (min(moments, default=0.0), now)
        moment, ends = self._looked
        if all(table.has_passed(each) for table, each in zip(self._tables, ends, strict=True)):
            self._cleared_until = max(self._cleared_until, moment)
            self._looked = None
        return self._cleared_until


def _fell(before: Mapping[int, ObservedEnd], now: Mapping[int, ObservedEnd]) -> bool:
    """The topic was deleted and created again: the ends that were observed may never be reached."""
    return any(now[partition].end < seen.end for partition, seen in before.items() if partition in now)
