"""Runs a join in memory whose records wait for their partners.

The rules are those of a worker: later events of a key queue behind one that waits, and only the newest record of a row
waits. A wait ends when the record's rows exist, or when the driver's clock has passed its deadline.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """Open a join; no record waits if all records exist already, since a missing partner will not arrive."""
    return MemoryJoin(join, run) if join.wait is None or run.complete else WaitingJoin(join, run, join.wait)


class WaitingRecord(NamedTuple):
    """A record that waits in its partition until `deadline`, in seconds since 1970, at the latest."""

    record: MemoryRecord
    partition: int
    deadline: float


class WaitingJoin(MemoryJoin):
    """A join with its waiting records, in the order of their arrival.

    An event queues behind others of its key in the same partition. With `.by`, a key may be in several partitions.
    """

    def __init__(self, join: Join, run: MemoryRun, wait: Wait) -> None:
        """Start without waiting records."""
        super().__init__(join, run)
        source = events_of(join.source)
        self._run = run
        self._wait = wait
        self._topic = input_name(run.service, join.source)
        self._key = compile_rekey(join.source).one if isinstance(join.source, Rekeyed) else None
        self._count = partitions(run.service, join.source, {})
        self._row_checks = RowChecks(source) if isinstance(source, OwnerTopic) else None
        self._waiting: list[WaitingRecord] = []

    def keeps(self, record: MemoryRecord, found: Lookups) -> bool:
        """Keep a record whose partner is missing, or an event that queues behind another; return whether it is kept."""
        partition = self._partition(record)
        before = [each for each in self._waiting if each.record.key == record.key]
        queues = self._row_checks is None and any(each.partition == partition for each in before)
        if before and self._row_checks is not None:
            self._row_checks.check_row(record)
        if None not in found[1] and not queues:
            return False
        self.supersede(record)
        # In whole microseconds, like the clock of the driver.
        deadline = round(self._run.now + self._wait.seconds, 6)
        self._waiting.append(WaitingRecord(record, partition, deadline))
        beside = [each for each in self._waiting if each.partition == partition]
        if len(beside) > self._wait.at_most:
            self._go_on(beside[0], self.look(beside[0].record))
        return True

    def supersede(self, record: MemoryRecord) -> None:
        """Drop the waiting record of a row that a later record replaces."""
        if self._row_checks is not None:
            self._waiting = [each for each in self._waiting if each.record.key != record.key]

    def due(self) -> float:
        """Return the first deadline; all records wait equally long."""
        return self._waiting[0].deadline if self._waiting else inf

    def tick(self) -> bool:
        """Finish one record whose rows now exist, or else one past its deadline; return whether there was one."""
        for each in self._first_of_each_queue():
            if None not in (found := self.look(each.record))[1]:
                self._go_on(each, found)
                return True
        if self.due() > self._run.now:
            return False
        self._go_on(self._waiting[0], self.look(self._waiting[0].record))
        return True

    def _first_of_each_queue(self) -> Iterator[WaitingRecord]:
        queues = set[tuple[bytes | None, int]]()
        for each in self._waiting:
            queue = (each.record.key, each.partition)
            if queue not in queues:
                queues.add(queue)
                yield each

    def _partition(self, record: MemoryRecord) -> int:
        key = record.key if self._key is None else self._key(record.value)
        return 0 if key is None else partition_of(key, self._count)

    def _go_on(self, waiting: WaitingRecord, found: Lookups) -> None:
        self._waiting.remove(waiting)
        try:
            self.finish(waiting.record, found)
        except ValueError as error:
            self.results.failed(waiting.record)
            self._run.dead_letter(self._topic, waiting.record, cause_of(error))
