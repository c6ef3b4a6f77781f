"""Runs a decide in memory with the functions of the worker, and with its rules for what is in one partition.

The first revision of a row is 1. A worker starts above every revision that the partition has used.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any, NamedTuple

import msgspec

from larder.declaring.compiled.decides import DecisionVerdict, compile_decide
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import cause_of
from larder.declaring.decides import Decide
from larder.declaring.decisions import WakeUp, as_utc
from larder.declaring.decoding import decoder
from larder.declaring.facts import input_name, wake_ups_name
from larder.declaring.partition_counts import partitions
from larder.declaring.partitioning import never_near, not_near, partition_of
from larder.declaring.rows import Row
from larder.declaring.sources import TableUse
from larder.store.applying.deletions import REVISION_HEADER
from larder.testing.placement import check_event_place, check_place
from larder.testing.records import Headers, MemoryRecord
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory


@open_in_memory.register
def _open(decide: Decide, run: MemoryRun) -> MemoryStep:
    return MemoryDecide(decide, run)


class _SetWakeUp(NamedTuple):
    """The time of a row's wake-up, in seconds since 1970, and its offset in the topic of wake-ups."""

    at: float
    offset: int


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


class MemoryDecide(MemoryStep):
    """A decide with its rows and its wake-ups; raises ValueError for events that it cannot decide on."""

    def __init__(self, decide: Decide, run: MemoryRun) -> None:
        """Start without wake-ups."""
        self.inputs = {source: partial(self._take, number) for number, source in enumerate(decide.inputs)}
        self._run = run
        self._compiled = compile_decide(decide)
        self._topic = decide.state.topic
        self._table = run.table(self._topic)
        self._count = partitions(run.service, self._topic, {})
        self._wake_ups_topic = wake_ups_name(run.service.name, decide)
        self._wake_ups: dict[bytes, _SetWakeUp] = {}
        self._ever_set = 0
        self._partition = 0

    def due(self) -> float:
        """Return the time of the first wake-up."""
        return min((each.at for each in self._wake_ups.values()), default=inf)

    def tick(self) -> bool:
        """Wake one row that is due; return whether there was one."""
        if self.due() > self._run.now:
            return False
        wake_up, key = min((wake_up, key) for key, wake_up in self._wake_ups.items())
        self._wake(key, wake_up)
        if self._wake_ups[key].at == wake_up.at:
            del self._wake_ups[key]
        return True

    def get(self, table: TableUse, key: Any) -> Any:
        """Read a row as `Near` does."""
        service = self._run.service
        count, alone = partitions(service, table.topic, {}), table.held == "partition"
        if table.service != service.name or (alone and count != self._count):
            raise never_near(service.name, table)
        encoded = table.topic.key_codec.encode(key)
        if alone and (place := partition_of(encoded, count)) != self._partition:
            raise not_near(table.topic, key, place, count, self._partition)
        row = self._run.table(table.topic).get(encoded)
        return None if row is None else decoder(table.topic.row)(row)

    def _take(self, number: int, record: MemoryRecord) -> None:
        source = self._compiled.decide.inputs[number]
        key, event = self._compiled.events[number](record.value)
        check_event_place(source, record, self._topic, key, self._count)
        self._decide(key, event, Coordinates(input_name(self._run.service, source), 0, record.offset), record)

    def _wake(self, key: bytes, wake_up: _SetWakeUp) -> None:
        now = int(self._run.now * 1000)
        json = msgspec.json.encode({"key": key, "at": wake_up.at})
        record = MemoryRecord(key, json, wake_up.offset, timestamp=now)
        try:
            event = WakeUp(self._topic.key_codec.decode(key), as_utc(wake_up.at))
            where = Coordinates(self._wake_ups_topic, 0, wake_up.offset)
            self._decide(key, event, where, MemoryRecord(key, None, wake_up.offset, timestamp=now))
        except ValueError as error:
            self._run.dead_letter(self._wake_ups_topic, record, cause_of(error))

    def _decide(self, key: bytes, event: Any, where: Coordinates, record: MemoryRecord) -> None:
        """Apply the verdict on an event, in full or not at all; `record` has its JSON, if any, and its time."""
        self._partition = partition_of(key, self._count)
        raw = self._table.get(key)
        verdict = self._compiled.judge(event, None if raw is None else self._compiled.typed(raw), self)
        for touched in (*verdict.rows, *(woken for woken, _ in verdict.wakes)):
            check_place(self._topic, touched, self._partition, self._count)
        rows = [self._new(changed, row) for changed, row in verdict.rows.items()]
        self._do(verdict, rows, record.timestamp)
        if verdict.refusal is not None:
            refused = self._compiled.refused(str(where), key, verdict.refusal, record.value)
            self._run.publish(self._run.service.refusals, *refused, record.timestamp)

    def _new(self, key: bytes, row: Row | None) -> _NewRow:
        revision = None if self._topic.revision is None else (self._table.revision(key) or 0) + 1
        return _NewRow(key, None if row is None else self._compiled.written(row, revision)[0], revision)

    def _do(self, verdict: DecisionVerdict, rows: list[_NewRow], timestamp: int) -> None:
        for row in rows:
            self._run.publish(self._topic, row.key, row.value, timestamp, row.headers)
        for into, key, value in verdict.emitted:
            self._run.publish(self._compiled.decide.into[into], key, value, timestamp)
        for key, at in verdict.wakes:
            self._wake_ups[key] = _SetWakeUp(at, self._ever_set)
            self._ever_set += 1
