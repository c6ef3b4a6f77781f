"""A join in memory whose records wait for their partner.

By the rules of a worker: an event holds back later ones of its key, of a row the newest record alone waits. Rows that
come release what waits for them; the driver's clock ends the wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from math import inf
from typing import NamedTuple

from larder.declaring.compiled.joins import compile_rekey
from larder.declaring.dead_letters import cause_of
from larder.declaring.facts import input_name
from larder.declaring.joins import Join
from larder.declaring.missing import Wait
from larder.declaring.partition_counts import partitions
from larder.declaring.partitioning import partition_of
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.store.applying.row_checks import RowChecks
from larder.testing.joins import Lookups, MemoryJoin
from larder.testing.records import MemoryRecord
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory


@open_in_memory.register
def _open(join: Join, run: MemoryRun) -> MemoryStep:
    """Where all records are there, a partner that is missing will not come: the wait is over at once."""
    return MemoryJoin(join, run) if join.wait is None or run.complete else WaitingJoin(join, run, join.wait)


class WaitingRecord(NamedTuple):
    """A record that waits in its partition, until `deadline` at the latest, in seconds since 1970."""

    record: MemoryRecord
    partition: int
    deadline: float


class WaitingJoin(MemoryJoin):
    """A join with the records that wait, in the order in which they came.

    An event is behind another one of its key in the same partition. With `.by` that is not all of its key.
    """

    def __init__(self, join: Join, run: MemoryRun, wait: Wait) -> None:
        """Begin with none."""
        super().__init__(join, run)
        source = events_of(join.source)
        self._run = run
        self._wait = wait
        self._topic = input_name(run.service, join.source)
        self._key = compile_rekey(join.source) if isinstance(join.source, Rekeyed) else None
        self._count = partitions(run.service, join.source, {})
        self._row_checks = RowChecks(source) if isinstance(source, OwnerTopic) else None
        self._waiting: list[WaitingRecord] = []

    def keeps(self, record: MemoryRecord, found: Lookups) -> bool:
        """Keep a record whose partner is missing, and an event behind another one of its key."""
        waiting = WaitingRecord(record, self._partition(record), self._run.now + self._wait.seconds)
        if self._row_checks is not None and any(each.record.key == record.key for each in self._waiting):
            self._row_checks.check_row(record)
        if None not in found[1] and not self._is_behind(waiting):
            return False
        self.later(record)
        self._waiting.append(waiting)
        beside = [each for each in self._waiting if each.partition == waiting.partition]
        if len(beside) > self._wait.at_most:
            self._go_on(beside[0], self.look(beside[0].record))
        return True

    def later(self, record: MemoryRecord) -> None:
        """Let go what waits of a row of which a later record came."""
        if self._row_checks is not None:
            self._waiting = [each for each in self._waiting if each.record.key != record.key]

    def due(self) -> float:
        """Give the first deadline; all wait equally long."""
        return self._waiting[0].deadline if self._waiting else inf

    def tick(self) -> bool:
        """Go on with one record whose rows are there by now, or else with one that has waited long enough."""
        for each in self._firsts():
            if None not in (found := self.look(each.record))[1]:
                self._go_on(each, found)
                return True
        if self.due() > self._run.now:
            return False
        self._go_on(self._waiting[0], self.look(self._waiting[0].record))
        return True

    def _firsts(self) -> Iterator[WaitingRecord]:
        """Give those that wait behind none of their own key."""
        return (each for each in self._waiting if not self._is_behind(each))

    def _is_behind(self, waiting: WaitingRecord) -> bool:
        """Say whether another record that came before waits under its key; of rows, the newest alone waits."""
        if self._row_checks is not None:
            return False
        before = takewhile(lambda each: each is not waiting, self._waiting)
        return any((each.record.key, each.partition) == (waiting.record.key, waiting.partition) for each in before)

    def _partition(self, record: MemoryRecord) -> int:
        key = record.key if self._key is None else self._key(record.value)
        return 0 if key is None else partition_of(key, self._count)

    def _go_on(self, waiting: WaitingRecord, found: Lookups) -> None:
        self._waiting.remove(waiting)
        try:
            self.settle(waiting.record, found)
        except ValueError as error:
            self.results.failed(waiting.record)
            self._run.park(self._topic, waiting.record, cause_of(error))
