"""A decide in memory: the very functions that the worker uses, and its rules of what lies in one partition.

Rows begin at revision 1, where a worker begins above all that their partition ever had. It may not
know joins.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from larder.declaring.compiled.decides import DecisionVerdict, compile_decide
from larder.declaring.decides import Decide
from larder.declaring.decisions import WakeUp, as_utc
from larder.declaring.decoding import decoder
from larder.declaring.in_memory.placement import check_event_place, check_place
from larder.declaring.in_memory.records import MemoryRecord, Topic
from larder.declaring.in_memory.table import MemoryTable
from larder.declaring.partition_counts import partitions
from larder.declaring.partitioning import never_near, not_near, partition_of
from larder.declaring.rows import Row
from larder.declaring.service import Service
from larder.declaring.sources import TableUse
from larder.declaring.topics import OwnerTopic


class Publish(Protocol):
    """Where records go."""

    def __call__(self, into: Topic, result: tuple[bytes, bytes | None]) -> None:
        """Add a record of that key and value."""


class MemoryDecide:
    """A decide with its rows and its wake-ups; events that it cannot decide on raise ValueError."""

    def __init__(
        self, service: Service, decide: Decide, table_of: Callable[[OwnerTopic], MemoryTable], publish: Publish
    ) -> None:
        """`table_of` gives the rows of a topic."""
        self._service = service
        self._compiled = compile_decide(decide)
        self._topic = decide.state.topic
        self._count = partitions(service, self._topic, {})
        self._table_of = table_of
        self._publish = publish
        self._wakes: dict[bytes, float] = {}
        self._partition = 0

    def event(self, number: int, topic: str, record: MemoryRecord) -> None:
        """Decide on a record of the input of that number."""
        key, event = self._compiled.events[number](record.value)
        check_event_place(self._compiled.decide.inputs[number], record, self._topic, key, self._count)
        self._decide(key, event, f"{topic}/0/{record.offset}", record.value)

    def due(self, until: datetime | None) -> bytes | None:
        """The key that is to be woken first, if that is due."""
        key = min(self._wakes, key=lambda key: (self._wakes[key], key), default=None)
        return key if key is not None and until is not None and self._wakes[key] <= until.timestamp() else None

    def wake(self, key: bytes) -> None:
        """Decide on a wake-up."""
        at = as_utc(self._wakes.pop(key))
        typed = self._topic.key_codec.decode(key)
        self._decide(key, WakeUp(typed, at), f"{self._topic.name} {typed} {at.isoformat()}", None)

    def get(self, table: TableUse, key: Any) -> Any:
        """Read as `Near` does."""
        count, alone = partitions(self._service, table.topic, {}), table.held == "partition"
        if table.service != self._service.name or (alone and count != self._count):
            raise never_near(self._service.name, table)
        encoded = table.topic.key_codec.encode(key)
        if alone and (place := partition_of(encoded, count)) != self._partition:
            raise not_near(table.topic, key, place, count, self._partition)
        row = self._table_of(table.topic).get(encoded)
        return None if row is None else decoder(table.topic.row)(row)

    def _decide(self, key: bytes, event: Any, where: str, json: bytes | None) -> None:
        self._partition = partition_of(key, self._count)
        raw = self._table_of(self._topic).get(key)
        verdict = self._compiled.judge(event, None if raw is None else self._compiled.typed(raw), self)
        for touched in (*verdict.rows, *(woken for woken, _ in verdict.wakes)):
            check_place(self._topic, touched, self._partition, self._count)
        rows = [(changed, self._written(changed, row)) for changed, row in verdict.rows.items()]
        self._do(verdict, rows)
        if verdict.refusal is not None:
            self._publish(self._service.refusals, self._compiled.refused(where, key, verdict.refusal, json))

    def _written(self, key: bytes, row: Row | None) -> bytes | None:
        known = self._table_of(self._topic).revision(key)
        return None if row is None else self._compiled.written(row, 1 if known is None else known + 1)[0]

    def _do(self, verdict: DecisionVerdict, rows: list[tuple[bytes, bytes | None]]) -> None:
        table = self._table_of(self._topic)
        for key, value in rows:
            table.apply(key, value)
            self._publish(self._topic, (key, value))
        for into, key, value in verdict.emitted:
            self._publish(self._compiled.decide.into[into], (key, value))
        self._wakes.update(verdict.wakes)
