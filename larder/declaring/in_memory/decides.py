"""A decide in memory: the very functions that the worker uses, and its rules of what lies in one partition.

Rows begin at revision 1, where a worker begins above all that their partition ever had.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from larder.declaring.compiled.decides import DecisionVerdict, compile_decide
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import cause_of
from larder.declaring.decisions import WakeUp, as_utc
from larder.declaring.decoding import decoder
from larder.declaring.in_memory.joins import partition_key_of
from larder.declaring.in_memory.placement import check_event_place, check_place
from larder.declaring.partition_counts import partitions
from larder.declaring.partitioning import never_near, not_near, partition_of
from larder.declaring.rows import Row
from larder.declaring.sources import TableUse, events_of

if TYPE_CHECKING:
    from larder.declaring.decides import Decide
    from larder.declaring.in_memory.records import MemoryRecord
    from larder.declaring.in_memory.run import MemoryRun


def run_decide(run: MemoryRun, decide: Decide) -> None:
    """Decide on every event of its inputs, in order, and on what it emits to itself; then on wake-ups that are due."""
    deciding = MemoryDecide(run, decide)
    given = list(run.given)
    names = sorted(
        (events_of(source).name for source in decide.inputs),
        key=lambda name: given.index(name) if name in given else len(given),
    )
    done = dict.fromkeys(names, 0)
    _decide_on(run, decide, deciding, done)
    while (woken := deciding.due(run.until)) is not None:
        deciding.wake(woken)
        _decide_on(run, decide, deciding, done)


def _decide_on(run: MemoryRun, decide: Decide, deciding: MemoryDecide, done: dict[str, int]) -> None:
    """Decide on the events that are not done, those included that come of them."""
    numbers = {events_of(source).name: number for number, source in enumerate(decide.inputs)}
    partition_keys = [partition_key_of(source) for source in decide.inputs]
    while (name := next((name for name in done if done[name] < len(run.log(name))), None)) is not None:
        record = run.log(name)[done[name]]
        done[name] += 1
        try:
            partition_key = partition_keys[numbers[name]]
            if partition_key is None or partition_key(record.value) is not None:
                deciding.event(numbers[name], name, record)
        except ValueError as error:
            run.park(name, record, cause_of(error))


class MemoryDecide:
    """A decide with its rows and its wake-ups; events that it cannot decide on raise ValueError."""

    def __init__(self, run: MemoryRun, decide: Decide) -> None:
        """Begin without wake-ups."""
        self._service = run.service
        self._compiled = compile_decide(decide)
        self._topic = decide.state.topic
        self._count = partitions(run.service, self._topic, {})
        self._table_of = run.table
        self._publish = run.publish
        self._wakes: dict[bytes, float] = {}
        self._partition = 0

    def event(self, number: int, topic: str, record: MemoryRecord) -> None:
        """Decide on a record of the input of that number."""
        key, event = self._compiled.events[number](record.value)
        check_event_place(self._compiled.decide.inputs[number], record, self._topic, key, self._count)
        self._decide(key, event, str(Coordinates(topic, 0, record.offset)), record.value)

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
