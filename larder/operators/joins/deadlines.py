"""Until which moment the deadlines of waiting orders count, by what their tables have read. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from larder.kafka.batch_consumer import SeenEnd


class Partner(Protocol):
    """A table that orders wait for, as far as its end is concerned."""

    def caught_up(self) -> bool: ...

    def ends(self) -> Mapping[int, SeenEnd]:
        """For each partition that matters: its end, and when that was seen."""

    def has_passed(self, ends: Mapping[int, SeenEnd]) -> bool:
        """The applied positions are at or past `ends`."""


class Deadlines:
    """They count until the moment of a look at the ends which all tables have passed since.

    A table that lags must not expire orders whose partner exists.
    """

    def __init__(self, partners: Sequence[Partner]) -> None:
        self._partners = partners
        self._looked: tuple[float, list[Mapping[int, SeenEnd]]] | None = None
        self._cleared_until = 0.0

    def cleared_until(self) -> float:
        """That moment, in seconds since the epoch."""
        now = [partner.ends() for partner in self._partners]
        if self._looked is None or any(map(_fell, self._looked[1], now)):
            moments = [seen.at for each in now for seen in each.values()]
            self._looked = (min(moments, default=0.0), now)
        moment, ends = self._looked
        if all(partner.has_passed(each) for partner, each in zip(self._partners, ends, strict=True)):
            self._cleared_until = max(self._cleared_until, moment)
            self._looked = None
        return self._cleared_until


def _fell(before: Mapping[int, SeenEnd], now: Mapping[int, SeenEnd]) -> bool:
    """The topic was deleted and made anew: the ends that were seen may never be reached again."""
    return any(now[partition].end < seen.end for partition, seen in before.items() if partition in now)
