"""Decides in memory with the functions of the worker, and with its rules for what is in one partition.

The first revision of a row is 1. A worker starts above every revision that the partition has used.
"""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

from larder.declaring.compiled.decides import DecisionVerdict, compile_decide
from larder.declaring.decides import Decide
from larder.declaring.decisions import as_utc
from larder.declaring.decoding import decoder
from larder.declaring.partition_counts import partitions
from larder.declaring.partitioning import never_near, not_near, partition_of
from larder.declaring.rows import Row
from larder.declaring.sources import TableUse
from larder.store.applying.deletions import REVISION_HEADER
from larder.testing.placement import check_place
from larder.testing.records import Headers, MemoryRecord
from larder.testing.run import MemoryRun


class _NewRow(NamedTuple):
    """A row to write; `value` is None for a deletion, `revision` if the topic declares none."""

    key: bytes
    value: bytes | None
    revision: int | None

    @property
    def headers(self) -> Headers:
        """The headers of the record: the revision of a deletion, which has no value to carry it."""
        if self.value is not None or self.revision is None:
            return ()
        return ((REVISION_HEADER, b"%d" % self.revision),)


class MemoryDecider:
    """Decides on what is about one row of a state: events, wake-ups or requests."""

    def __init__(self, decide: Decide, run: MemoryRun) -> None:
        """Share rows and wake-ups with all deciders of the state."""
        self.compiled = compile_decide(decide, wakes=run.service.woken(decide.state) is not None)
        self.topic = decide.state.topic
        self.count = partitions(run.service, self.topic, {})
        self.table = run.table(self.topic)
        self.wake_ups = run.wake_ups[self.topic.name]
        self._run = run
        self._partition = 0
        self._timestamp = 0

    def decide(self, key: bytes, event: Any, where: str, record: MemoryRecord) -> DecisionVerdict:
        """Apply the verdict on an event, and return it; raise ValueError and do nothing if that is impossible.

        `record` has the JSON of the event, if any, its time, and the headers that go along.
        """
        self._partition = partition_of(key, self.count)
        self._timestamp = record.timestamp
        raw = self.table.get(key)
        verdict = self.compiled.judge(event, None if raw is None else self.compiled.typed(raw), self)
        for touched in (*verdict.rows, *(woken for woken, _ in verdict.wakes)):
            check_place(self.topic, touched, self._partition, self.count)
        rows = [self._new(changed, row) for changed, row in verdict.rows.items()]
        self._do(verdict, rows, record)
        if verdict.refusal is not None:
            refused = self.compiled.refused(where, key, verdict.refusal, record.value)
            self._run.publish(self._run.service.refusals, *refused, record.timestamp, record.headers)
        return verdict

    @property
    def now(self) -> datetime:
        """The time as `Near` has it; without a clock, that of the record."""
        now = self._run.now
        return as_utc(now if isfinite(now) else self._timestamp / 1000)

    def get(self, table: TableUse, key: Any) -> Any:
        """Read a row as `Near` does."""
        service = self._run.service
        count, alone = partitions(service, table.topic, {}), table.held == "partition"
        if table.service != service.name or (alone and count != self.count):
            raise never_near(service.name, table)
        encoded = table.topic.key_codec.encode(key)
        if alone and (place := partition_of(encoded, count)) != self._partition:
            raise not_near(table.topic, key, place, count, self._partition)
        row = self._run.table(table.topic).get(encoded)
        return None if row is None else decoder(table.topic.row)(row)

    def _new(self, key: bytes, row: Row | None) -> _NewRow:
        revision = None if self.topic.revision is None else (self.table.revision(key) or 0) + 1
        return _NewRow(key, None if row is None else self.compiled.written(row, revision)[0], revision)

    def _do(self, verdict: DecisionVerdict, rows: list[_NewRow], cause: MemoryRecord) -> None:
        for row in rows:
            self._run.publish(self.topic, row.key, row.value, cause.timestamp, (*row.headers, *cause.headers))
        for into, key, value in verdict.emitted:
            self._run.publish(self.compiled.decide.into[into], key, value, cause.timestamp, cause.headers)
        for key, at in verdict.wakes:
            self.wake_ups.set(key, at, cause.headers)
