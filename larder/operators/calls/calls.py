"""The calls of one partition: a stage in the lanes of events and of outcomes, and a chore that begins what is due.

A call begins as a row in the open unit; once that is committed, it runs in the worker (`outside.py`). Its outcome comes
back through a topic. What becomes of it is decided in `transitions.py`, and done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final

import msgspec
from aiokafka.structs import TopicPartition

from larder.counters.operator_counts import CallCounts
from larder.declaring.calls import GaveUp
from larder.declaring.compiled.calls import CompiledCall
from larder.declaring.dead_letters import CALL_KEY, cause_of, origin
from larder.declaring.partitioning import astray_call
from larder.declaring.records import Record
from larder.declaring.stored_calls import Failed, ResultEvent, StoredCall, read
from larder.delivery.dead_letters import DeadLetters
from larder.delivery.output import Output
from larder.kafka.partitioner import partition_of
from larder.operators.calls import transitions
from larder.operators.calls.outside import GRACE_SECONDS, Outside, Start
from larder.operators.calls.transitions import Abandon, Next, Park, Publish
from larder.operators.calls.turns import CallTurn, CallTurns
from larder.operators.context import PartitionContext
from larder.operators.emitted_events import EmittedEvents
from larder.operators.owned_rows import OwnedRows, Written

SLICE_CALLS: Final = 100
"""How many calls begin before control returns to the event loop."""

OPENED_CALLS: Final = 1_000
"""How many stored calls get their turns before control returns to the event loop."""

AGAIN_SECONDS: Final = 5.0
"""After this time an outcome that nobody has processed is published again, and `only_while` is asked again."""


class PartitionCalls:
    """The calls for the events of the partition `at`.

    rows     the table of calls that are not done.
    outputs  the topics of results, by name.
    outcomes the topic of outcomes; `met_end` says whether it is read to where it ended at the assignment.
    row      returns the row of a key in the table of `only_while`.
    """

    def __init__(
        self,
        at: PartitionContext,
        compiled: CompiledCall,
        rows: OwnedRows,
        outputs: Mapping[str, Output],
        outcomes: Output,
        outside: Outside,
        met_end: Callable[[], bool],
        row: Callable[[bytes], bytes | None],
        topic_id: str,
    ) -> None:
        self.turns = CallTurns()
        self.ready = False
        self.counts = at.counts.of(compiled.call, CallCounts)
        self._at = at
        self._compiled = compiled
        self._rows = rows
        self._outputs = outputs
        self._outcomes = outcomes
        self._outside = outside
        self._met_end = met_end
        self._row = row
        self._topic_id = topic_id
        self._events = EmittedEvents(at.delivery)
        self._blocked: dict[bytes, set[str]] = {}
        self._since = at.clock()
        self._slices: Iterator[Sequence[bytes]] | None = None
        self._found: list[tuple[int, float, str, CallTurn]] = []

    def __len__(self) -> int:
        return len(self.turns)

    @property
    def events(self) -> TopicPartition:
        """The partition of its events."""
        return self._at.tp

    def full(self) -> bool:
        """Return whether no more calls may wait."""
        return self.at_most() or self._rows.full()

    def at_most(self) -> bool:
        """Return whether as many calls wait as the declaration allows."""
        return len(self.turns) >= self._compiled.call.at_most

    def oldest(self) -> float | None:
        """Return when the oldest call arrived, in seconds since 1970; None if none waits."""
        first = self.turns.oldest()
        call = None if first is None else self._call(first)
        return None if call is None else call.since

    def arrive(self, record: Record) -> None:
        """Keep the call for an event; begin it at once if it is its turn. Raise ValueError for a faulty event."""
        place, event = self._compiled.read(record.value)
        if (number := partition_of(place, self._outcomes.partitions)) != self._at.tp.partition:
            raise astray_call(self._compiled.call, number, self._at.tp.partition)
        call_id = f"{self._topic_id}/{self._at.tp.partition}/{record.offset}"
        if call_id in self.turns:
            return
        call = self._new(call_id, place, event, record)
        self._check(call)
        at_once = self.turns.is_free(self._order(call)) and self._may_begin(call.since) and self._is_wanted(event)
        turn = CallTurn(call.id, self._order(call), call.number, call.due)
        self.turns.add(turn)
        self.counts.arrived += 1
        if at_once:
            self._begin(turn, call, event, call.since)
        else:
            self._write(call)

    def take(self, record: Record) -> None:
        """Act on an outcome; raise ValueError if it is none."""
        outcome, now = read(record.value), self._at.clock()
        turn, call = self.turns.get(outcome.id), self._call(outcome.id)
        if turn is None or call is None:
            self._outside.forget(outcome.id)
            return
        if (following := transitions.after(call, outcome, self._compiled.call.retry, now)) is not None:
            self._outside.forget(outcome.id)
            self.counts.failed += isinstance(outcome, Failed)
            self._follow(turn, call, following)

    def flush(self) -> None:
        """Publish the collected results."""
        self._events.flush()

    def rows_changed(self, keys: Iterable[bytes]) -> None:
        """Look at the calls again whose rows have changed."""
        for key in keys if self._blocked else ():
            for call in self._blocked.pop(key, ()):
                if (turn := self.turns.get(call)) is not None and not turn.begun:
                    self.turns.look_at(turn, 0.0)

    def tick(self, now: float) -> bool:
        """Read the stored calls once they are complete; then act on what is due. Return whether there is more."""
        self._rows.forget_stored()
        if not self.ready:
            return self._rows.caught_up() and self._open()
        if not (self._met_end() and self._rows.caught_up()):
            return False
        for _ in range(SLICE_CALLS):
            turn = self.turns.first(now)
            if turn is None or not self._look_at(turn, now):
                self.flush()
                return False
        self.flush()
        return True

    def _new(self, call_id: str, place: bytes, event: Any, record: Record) -> StoredCall:
        now, where = self._at.clock(), origin(self._at.tp.topic, self._at.tp.partition, record)
        headers = dict(record.headers or ())
        default = (headers.get(CALL_KEY) or call_id.encode()).decode(errors="replace")
        return StoredCall(
            id=call_id,
            place=place,
            number=self.turns.last + 1,
            topic=where.topic,
            partition=where.partition,
            offset=where.offset,
            timestamp=record.timestamp,
            message_key=record.key,
            value=record.value or b"",
            headers=list(record.headers or ()),
            key=self._compiled.key(event, default),
            since=now,
            due=now,
        )

    def _order(self, call: StoredCall) -> bytes:
        return call.place if self._compiled.call.ordered else call.id.encode()

    def _open(self) -> bool:
        """Read another slice of stored calls; once all are read, give some their turns. Return whether more is due."""
        self._slices = self._slices or self._rows.slices()
        if (rows := next(self._slices, None)) is not None:
            for call in (msgspec.json.decode(row, type=StoredCall) for row in rows):
                heappush(self._found, (call.number, call.since, call.id, self._turn(call)))
            return True
        for _ in range(min(OPENED_CALLS, len(self._found))):
            self.turns.add(heappop(self._found)[-1])
        self.ready = not self._found
        return True

    def _turn(self, call: StoredCall) -> CallTurn:
        turn = CallTurn(
            call.id, self._order(call), call.number, min(call.due, self._since + self._compiled.call.retry.most)
        )
        if call.begun is not None:
            turn.begun, turn.mine = True, self._outside.has_begun(call.begun)
            turn.due = self._since
            if not turn.mine:
                known = self._outside.known_since(call.begun, self._since)
                turn.due = known + self._compiled.call.timeout + GRACE_SECONDS
        return turn

    def _call(self, call_id: str) -> StoredCall | None:
        raw = self._rows.raw(call_id.encode())
        return None if raw is None else msgspec.json.decode(raw, type=StoredCall)

    def _look_at(self, turn: CallTurn, now: float) -> bool:
        """Act on a call that is due; return False if none can begin now."""
        call, declared = self._call(turn.id), self._compiled.call
        if call is None:
            self.turns.remove(turn)  # Another writer deleted it from the topic.
        elif turn.mine:
            self._pursue(turn, call, now)
        elif turn.begun:
            self._follow_in_chore(turn, call, transitions.unknown(call, declared.unknown, declared.retry, now))
        elif not (transitions.is_overdue(call, declared.retry, now) or self._may_begin(now)):
            return False
        else:
            self._try(turn, call, now)
        return True

    def _may_begin(self, now: float) -> bool:
        return self._met_end() and self._outside.admits(now)

    def _try(self, turn: CallTurn, call: StoredCall, now: float) -> None:
        """Begin a call of an earlier unit, or give it up; its event may be unreadable by the type of today."""
        retry = self._compiled.call.retry
        try:
            _, event = self._compiled.read(call.value)
            wanted = self._is_wanted(event)
        except ValueError as error:
            self._follow_in_chore(turn, call, Park(cause_of(error)))
            return
        if call.id in self._outside.running:
            # An earlier attempt has outlived its time, and still runs.
            self.turns.look_at(turn, now + AGAIN_SECONDS)
        elif transitions.is_overdue(call, retry, now):
            self._follow_in_chore(turn, call, transitions.overdue(call, retry, unwanted=not wanted))
        elif wanted:
            self._begin(turn, call, event, now)
        else:
            self._block(turn, call, event, now)

    def _is_wanted(self, event: Any) -> bool:
        """Return whether the event's row allows the call; raise ValueError if that cannot be decided."""
        return self._compiled.satisfied(self._row(self._compiled.row_key(event)))

    def _block(self, turn: CallTurn, call: StoredCall, event: Any, now: float) -> None:
        """Look at a call again once its row has changed, or after a while."""
        self._blocked.setdefault(self._compiled.row_key(event), set()).add(call.id)
        self.turns.look_at(turn, max(now, min(now + AGAIN_SECONDS, call.since + self._compiled.call.retry.within)))

    def _begin(self, turn: CallTurn, call: StoredCall, event: Any, now: float) -> None:
        """Begin a call with the open unit."""
        begun = transitions.begun(call, self._outside.reserve(call.id, now))
        self._write(begun)
        turn.begun = turn.mine = True
        self.turns.look_at(turn, now + self._compiled.call.timeout + AGAIN_SECONDS)
        self._at.delivery.touch(self._at.tp)
        start = partial(self._outside.start, self._to_start(begun, event))
        self._at.delivery.unit.afterwards.append(start)
        self._at.delivery.unit.awaited = True
        self.counts.begun += 1

    def _to_start(self, call: StoredCall, event: Any) -> Start:
        return Start(call, event, self._of_event(call).carried().outside(call.event))

    def _pursue(self, turn: CallTurn, call: StoredCall, now: float) -> None:
        """Look after an attempt of this process: it runs, or its outcome has to be published again, or it never ran."""
        outside = self._outside
        self.turns.look_at(turn, now + AGAIN_SECONDS)
        if call.id in outside.running or call.id in outside.reserved:
            return
        if call.id in outside.finished:
            outside.report(call.id)
            return
        try:
            _, event = self._compiled.read(call.value)
        except ValueError as error:
            self._follow_in_chore(turn, call, Park(cause_of(error)))
            return
        outside.start(self._to_start(call, event))

    def _follow_in_chore(self, turn: CallTurn, call: StoredCall, following: Next) -> None:
        self._at.delivery.touch(self._at.tp)
        self._follow(turn, call, following)

    def _follow(self, turn: CallTurn, call: StoredCall, following: Next) -> None:
        """Do what was decided about a call."""
        try:
            match following:
                case StoredCall():
                    self._write(following)
                    turn.begun = turn.mine = False
                    self.turns.look_at(turn, following.due)
                    return
                case Publish():
                    self._publish(call, following.events)
                    self.counts.done += 1
                case Abandon():
                    self._give_up(call, following)
                case Park():
                    self._park(call, following.cause)
        except ValueError as error:
            self._park(call, cause_of(error))
        self.turns.remove(turn)
        self._rows.write(Written(call.id.encode(), None, None), call.timestamp)

    def _publish(self, call: StoredCall, results: Sequence[ResultEvent]) -> None:
        if unknown := {each.into for each in results} - self._outputs.keys():
            message = f"the call resulted in events for {', '.join(sorted(unknown))}, which is not in `into` any more"
            raise ValueError(message)
        events = [(self._outputs[each.into], each.key, each.value) for each in results]
        self._events.check(events, call.timestamp)
        self._events.collect(events, call.timestamp, self._of_event(call).carried().of(call.event))

    def _give_up(self, call: StoredCall, following: Abandon) -> None:
        self.counts.given_up += 1
        if self._compiled.call.otherwise is not None:
            _, event = self._compiled.read(call.value)
            self._publish(call, self._compiled.given_up(event, GaveUp(following.reason, call.attempt)))
        elif not following.unwanted:
            self._park(call, following.reason)

    def _park(self, call: StoredCall, cause: str) -> None:
        record = call.event._replace(headers=[*call.headers, (CALL_KEY, call.key.encode())])
        self._of_event(call).dead_letters().add(record, cause)
        self.counts.parked += 1

    def _of_event(self, call: StoredCall) -> PartitionContext:
        """Return the context of the partition of a call's event, which may be of an earlier generation."""
        return self._at.of(TopicPartition(call.topic, call.partition))

    def _check(self, call: StoredCall) -> None:
        self._rows.check(Written(call.id.encode(), msgspec.json.encode(call), None), call.timestamp)

    def _write(self, call: StoredCall) -> None:
        self._rows.write(Written(call.id.encode(), msgspec.json.encode(call), None), call.timestamp)


class CallStep:
    """A call on one partition of its events."""

    def __init__(self, calls: PartitionCalls, letters: DeadLetters) -> None:
        self._calls = calls
        self._letters = letters

    def busy(self) -> bool:
        return self._calls.full()

    def process(self, records: Sequence[Record]) -> None:
        self._letters.handle_each(records, self._calls.arrive)
        self._calls.flush()


class OutcomeStep:
    """A call on one partition of its outcomes."""

    def __init__(self, calls: PartitionCalls, letters: DeadLetters) -> None:
        self._calls = calls
        self._letters = letters

    def busy(self) -> bool:
        return False

    def process(self, records: Sequence[Record]) -> None:
        self._letters.handle_each(records, self._calls.take)
        self._calls.flush()
