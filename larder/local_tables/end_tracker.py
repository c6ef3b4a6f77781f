"""How far a table is: the ends of its partitions, as the broker last reported them, against its positions.

A report counts for a while only. After a pause of the process the last one is old: it says nothing about what was
written meanwhile, and the table must be measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from larder.kafka.batch_consumer import ObservedEnd
from larder.store.partition_state import Phase, State
from larder.store.table import Table


class EndTracker:
    """The ends of one table. `patience` in seconds: without a report for so long, the broker counts as gone."""

    def __init__(self, stored: Table, patience: float, clock: Callable[[], float]) -> None:
        self._stored = stored
        self._patience = patience
        self._clock = clock
        self._reported: dict[int, ObservedEnd] = {}
        self._measured_from: dict[int, float] = {}

    def is_news(self, partition: int, end: ObservedEnd) -> bool:
        """Whether an end was reported since the partition was last measured, and is not the one that is known."""
        return end != self._reported.get(partition) and end.at >= self._measured_from.get(partition, 0.0)

    def observe(self, partition: int, end: ObservedEnd) -> None:
        """Take an end as the broker reported it; after a long silence the partition is measured again."""
        before = self._reported.get(partition)
        if before is not None and end.at - before.at > self._patience:
            self._stored.state(partition).remeasure()
        self._reported[partition] = end
        self._stored.observe(partition, end.end, end.at)

    def remeasure(self, partitions: Iterable[int]) -> None:
        """Forget how far partitions were: an end that is reported from now on decides."""
        for partition in partitions:
            self._reported.pop(partition, None)
            self._measured_from[partition] = self._clock()
            self._stored.state(partition).remeasure()

    def disconnect_silent(self) -> None:
        """Mark partitions as disconnected whose end the broker has not reported for too long."""
        now = self._clock()
        for partition in self._stored.partitions:
            state, end = self._stored.state(partition), self._reported.get(partition)
            last = self._measured_from.get(partition, now) if end is None else end.at
            if now - last > self._patience and state.phase is not Phase.DISCONNECTED:
                state.disconnect()

    def are_read(self, states: Collection[State]) -> bool:
        """Whether partitions, at least one, were read to their ends, by a report that still counts."""
        since = self._clock() - self._patience
        return bool(states) and all(
            state.phase >= Phase.CAUGHT_UP and self._reported[state.partition].at >= since for state in states
        )

    def high(self, partition: int) -> int:
        """The end of all records of a partition, those of open transactions included; 0 where it is not known."""
        return self._reported[partition].high if partition in self._reported else 0

    def of(self, states: Iterable[State]) -> Mapping[int, ObservedEnd]:
        """The ends of partitions; an unknown one counts as reported at time 0."""
        return {state.partition: self._reported.get(state.partition, ObservedEnd(0, 0.0)) for state in states}

    def are_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        """Whether positions are at or past `ends`; a partition that is not open here has passed nothing."""
        return all(
            self._stored.is_open(partition) and self._stored.position(partition) >= seen.end
            for partition, seen in ends.items()
        )
