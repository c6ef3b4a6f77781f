"""One decide on one partition: from events to new rows, events, refusals and wake-ups, all of them or none.

It changes the rows of an `OwnedRows`. An event that cannot be decided on is dead-lettered and has no other effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from larder.counters.operator_counts import DecideCounts
from larder.declaring.compiled.decides import CompiledDecide, DecisionVerdict, Read
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import cause_of
from larder.declaring.decisions import Near, WakeUp, as_utc
from larder.declaring.partitioning import misplaced
from larder.declaring.records import Record
from larder.declaring.rows import Row
from larder.delivery.output import Headers, Output
from larder.kafka.partitioner import partition_of, partitions_of
from larder.operators.context import PartitionContext
from larder.operators.decides.wake_ups import StoredWakeUp
from larder.operators.emitted_events import EmittedEvents, EventTo
from larder.operators.owned_rows import OwnedRows, Written
from larder.operators.user_code import no_exit


class Cause(Protocol):
    """What is decided on: where it is, its JSON (None for a wake-up), its time in ms, the headers that go along."""

    @property
    def where(self) -> str: ...

    @property
    def json(self) -> bytes | None: ...

    @property
    def timestamp(self) -> int: ...

    @property
    def carried(self) -> Headers: ...


class Trigger(NamedTuple):
    """A record as a cause."""

    topic: str
    partition: int
    offset: int
    json: bytes | None
    timestamp: int
    carried: Headers

    @property
    def where(self) -> str:
        """Its coordinates."""
        return str(Coordinates(self.topic, self.partition, self.offset))


class Judged(NamedTuple):
    """What follows from one event: rows, each with the revision that it replaces, and events with their outputs."""

    verdict: DecisionVerdict
    rows: Sequence[tuple[Written, int | None]]
    events: Sequence[EventTo]

    def row(self, key: bytes) -> Written | None:
        """Return the row that is written under a key; None if it stays as it is."""
        return next((row for row, _ in self.rows if row.key == key), None)


class Decider:
    """Decides on the events of one partition from all inputs.

    `outputs` are the topics of `into`, in order, followed by the topic of refusals. `at` is the partition of its
    wake-ups.
    """

    def __init__(
        self,
        compiled: CompiledDecide,
        rows: OwnedRows,
        near: Near,
        outputs: Sequence[Output],
        at: PartitionContext,
    ) -> None:
        self.rows = rows
        self.counts = at.counts.of(compiled.decide, DecideCounts)
        self.set_wake_up: Callable[[bytes, float, int, Headers], None]
        self._compiled = compiled
        self._near = near
        self.carried = at.carried()
        self._dead_letters = at.dead_letters()
        self._outputs = outputs
        self._events = EmittedEvents(at.delivery)
        self.name = compiled.decide.name
        self.topic = compiled.decide.state.topic
        self._revision = compiled.decide.state.topic.revision

    def row(self, key: bytes) -> Row | None:
        """Return the row of a key, including decisions that are not stored yet."""
        return self.row_of(key, self.rows.stored_many((key,)))

    def row_of(self, key: bytes, stored: Mapping[bytes, bytes | None]) -> Row | None:
        """Return the row of a key; `stored` has the rows of the store."""
        if (written := self.rows.written(key)) is not None:
            row: Row | None = written.typed
            return row
        raw = stored[key]
        return None if raw is None else self._compiled.typed(raw)

    def decide(self, key: bytes, event: Any, row: Row | None, cause: Cause) -> None:
        """Apply the function's verdict on one event; raise ValueError and do nothing if impossible.

        Emitted events are collected until `flush`.
        """
        self.carry_out(self.judge(key, event, row, cause), cause)

    def judge(self, key: bytes, event: Any, row: Row | None, cause: Cause) -> Judged:
        """Return all that follows from one event, without doing it; raise ValueError if it cannot be done."""
        verdict = self._compiled.judge(event, row, self._near)
        known = None if row is None or self._revision is None else (key, getattr(row, self._revision))
        rows = [self._next(changed, new, known) for changed, new in verdict.rows.items()]
        events = [(self._outputs[into], event_key, value) for into, event_key, value in verdict.emitted]
        if verdict.refusal is not None:
            refused = self._compiled.refused(cause.where, key, verdict.refusal, cause.json)
            events.append((self._outputs[-1], *refused))
        self._check(key, rows, verdict, cause.timestamp)
        self._events.check(events, cause.timestamp)
        return Judged(verdict, rows, events)

    def carry_out(self, judged: Judged, cause: Cause) -> None:
        """Write rows and set wake-ups, and collect events until `flush`."""
        for written, based_on in judged.rows:
            self.rows.write(written, cause.timestamp, based_on, cause.carried)
        self._events.collect(judged.events, cause.timestamp, cause.carried)
        for woken, at in judged.verdict.wakes:
            self.set_wake_up(woken, at, cause.timestamp, cause.carried)
        self._count(judged.verdict)

    def flush(self) -> None:
        """Emit the collected events in the order of the decisions."""
        self._events.flush()

    @no_exit()
    def wake(self, wake_up: StoredWakeUp, record: Record, topic: str) -> None:
        """Decide on a due wake-up; dead-letter it if that is impossible."""
        key = wake_up.key
        try:
            event = WakeUp(self.topic.key_codec.decode(key), as_utc(wake_up.at))
            carried = self.carried.again(wake_up.headers)
            cause = Trigger(topic, self.rows.partition, record.offset, None, record.timestamp, carried)
            self.decide(key, event, self.row(key), cause)
            self.flush()
        except ValueError as error:
            self.counts.parked += 1
            self._dead_letters.add(record, cause_of(error))
        self.counts.woken += 1

    def caught_up(self) -> bool:
        return self.rows.caught_up()

    def _next(self, key: bytes, row: Row | None, known: tuple[bytes, int] | None) -> tuple[Written, int | None]:
        """Return the row to write under a key, and the revision it replaces; `known` is a key with its revision."""
        revision = based_on = None
        if self._revision is not None:
            based_on = known[1] if known is not None and known[0] == key else self.rows.revision(key)
            revision = self.rows.first_revision() if based_on is None else based_on + 1
        if row is None:
            return Written(key, None, revision), based_on
        value, typed = self._compiled.written(row, revision)
        return Written(key, value, revision, typed), based_on

    def _check(
        self, home: bytes, rows: Sequence[tuple[Written, int | None]], verdict: DecisionVerdict, timestamp: int
    ) -> None:
        """Raise ValueError for a row or a wake-up that belongs to another partition; `home` is a key that does not."""
        for key in verdict.rows:
            if key != home:
                self._require_here(key)
        for key, _ in verdict.wakes:
            self._require_here(key)
        for row, based_on in rows:
            self.rows.check(row, timestamp, based_on)

    def _require_here(self, key: bytes) -> None:
        if (place := partition_of(key, self.rows.output.partitions)) != self.rows.partition:
            raise misplaced(self.topic, key, place, self.rows.partition)

    def _count(self, verdict: DecisionVerdict) -> None:
        counts = self.counts
        counts.decided += 1
        counts.rows += len(verdict.rows)
        counts.emitted += len(verdict.emitted)
        if verdict.refusal is not None:
            counts.refused += 1


class DecideStep:
    """A decide on one input partition: reads its events, and passes them to the decider one by one."""

    def __init__(self, at: PartitionContext, read: Read, decider: Decider) -> None:
        self._tp = at.tp
        self._read = read
        self._decider = decider
        self._dead_letters = at.dead_letters()
        self._carried = at.carried()

    def busy(self) -> bool:
        return self._decider.rows.full()

    @no_exit()
    def process(self, records: Sequence[Record]) -> None:
        events = [event for record in records if (event := self._event(record)) is not None]
        decider, rows = self._decider, self._decider.rows
        places = partitions_of([key for _, key, _ in events], rows.output.partitions)
        stored = rows.stored_many([key for _, key, _ in events])
        for (record, key, event), place in zip(events, places, strict=True):
            try:
                if place != rows.partition:
                    raise misplaced(decider.topic, key, place, rows.partition)
                decider.decide(key, event, decider.row_of(key, stored), self._cause(record))
            except ValueError as error:
                self._reject(record, error)
        decider.flush()

    def _event(self, record: Record) -> tuple[Record, bytes, Any] | None:
        try:
            return record, *self._read(record.value)
        except ValueError as error:
            self._reject(record, error)
            return None

    def _cause(self, record: Record) -> Trigger:
        topic, partition = self._tp
        carried = self._carried.of(record)
        return Trigger(topic, partition, record.offset, record.value, record.timestamp, carried)

    def _reject(self, record: Record, error: ValueError) -> None:
        self._decider.counts.parked += 1
        self._dead_letters.add(record, cause_of(error))
