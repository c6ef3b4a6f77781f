"""Compares a table's positions with the ends of its partitions, as the broker last reported them.

A report counts only for a while. After a pause of the process the last one is outdated: more may have been written
since, and the table must be measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from larder.kafka.batch_consumer import ObservedEnd
from larder.store.partition_state import Phase, State
from larder.store.table import Table


class Hop(NamedTuple):
    """All rows that the source of a mirror had at one time are in the mirror by another; in seconds since the epoch."""

    asked_at: float
    passed_at: float


class EndTracker:
    """The ends of one table. `patience` in seconds: after this long without a report, the broker counts as away.

    With `mirrored`, the end of the topic counts only once all rows of its source have passed into it: before, an empty
    mirror would be at its end. Its rows are as fresh as the time at which the source was asked.
    """

    def __init__(self, stored: Table, patience: float, clock: Callable[[], float], *, mirrored: bool = False) -> None:
        self._mirrored = mirrored
        self._hop = Hop(0.0, 0.0)
        self._paused = False
        self._stored = stored
        self._patience = patience
        self._clock = clock
        self._reported: dict[int, ObservedEnd] = {}
        self._counted: dict[int, ObservedEnd] = {}
        self._measured_from: dict[int, float] = {}

    def is_news(self, partition: int, end: ObservedEnd) -> bool:
        """Return whether an end differs from the known one, and was reported after measuring last began."""
        return end != self._reported.get(partition) and end.at >= self._measured_from.get(partition, 0.0)

    def observe(self, partition: int, end: ObservedEnd) -> None:
        """Take an end that the broker reported; after a long silence, measure the partition again."""
        before = self._reported.get(partition)
        if before is not None and end.at - before.at > self._patience:
            self._stored.state(partition).remeasure()
            self._measured_from[partition] = end.at
        self._reported[partition] = end
        if self._mirrored:
            asked_at, passed_at = self._hop
            if self._paused:
                # Nothing comes meanwhile: the rows are as fresh as they were when all had last passed.
                asked_at = asked_at or self._stored.state(partition).at_end or 0.0
            elif end.at < passed_at or asked_at < self._measured_from.get(partition, 0.0):
                return
            # Including open transactions: the offsets of the source may be committed before the records are.
            end = ObservedEnd(end.high, asked_at, end.high)
        self._counted[partition] = end
        self._stored.observe(partition, end.end, end.at)

    def passed(self, hop: Hop) -> None:
        """Take the last time at which all rows of the source had passed into the mirror."""
        self._hop = hop

    def pause(self, *, paused: bool) -> None:
        """Take whether the service has stopped filling the mirror: then the mirror's own end counts."""
        self._paused = paused

    def remeasure(self, partitions: Iterable[int]) -> None:
        """Measure partitions again: only ends that are reported from now on count."""
        for partition in partitions:
            self._reported.pop(partition, None)
            self._counted.pop(partition, None)
            self._measured_from[partition] = self._clock()
            self._stored.state(partition).remeasure()

    def disconnect_silent(self) -> None:
        """Mark a partition as disconnected if the broker has not reported its end for too long."""
        now = self._clock()
        for partition in self._stored.partitions:
            state, end = self._stored.state(partition), self._reported.get(partition)
            last = self._measured_from.get(partition, now) if end is None else end.at
            if now - last > self._patience and state.phase is not Phase.DISCONNECTED:
                state.disconnect()

    def are_read(self, states: Collection[State]) -> bool:
        """Return whether there are partitions, and all are read to their ends, by reports that still count."""
        since = self._clock() - self._patience
        return bool(states) and all(
            state.phase >= Phase.CAUGHT_UP and self._reported[state.partition].at >= since for state in states
        )

    def high(self, partition: int) -> int:
        """Return the end of a partition including open transactions; 0 if it is unknown."""
        return self._reported[partition].high if partition in self._reported else 0

    def of(self, states: Iterable[State]) -> Mapping[int, ObservedEnd]:
        """Return the ends of partitions; an unknown one counts as reported at time 0."""
        return {state.partition: self._counted.get(state.partition, ObservedEnd(0, 0.0)) for state in states}

    def are_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        """Return whether all positions are at or past `ends`; a partition that is not open here is not."""
        return all(
            self._stored.is_open(partition) and self._stored.position(partition) >= observed.end
            for partition, observed in ends.items()
        )
