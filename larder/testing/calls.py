"""Makes calls in memory, one at a time, by the rules of the worker for what follows from an outcome."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import Counter
from typing import Any

from msgspec.structs import replace

from larder.declaring.calls import Attempt, Call, GaveUp
from larder.declaring.compiled.calls import compile_call
from larder.declaring.dead_letters import cause_of as why
from larder.declaring.facts import input_name
from larder.declaring.sources import RemoteTable
from larder.declaring.stored_calls import Beginning, Failed, ResultEvent, StoredCall
from larder.operators.calls import transitions
from larder.operators.calls.remote_rows import ReadEnd, RowReader
from larder.operators.calls.results import cause_of, done, is_outage
from larder.operators.calls.transitions import Abandon, Next, Park, Publish
from larder.operators.calls.turns import CallTurn, CallTurns
from larder.testing.records import MemoryRecord
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory

BEGINNING = Beginning("memory", "memory", 0.0)


@open_in_memory.register
def _open(call: Call, run: MemoryRun) -> MemoryStep:
    return MemoryCall(call, run)


class MemoryCall(MemoryStep):
    """The calls for the events of one source. A run over lists does not wait: what fails there is given up."""

    def __init__(self, call: Call, run: MemoryRun) -> None:
        """Start before the first event."""
        self.inputs = {call.source: self._take}
        self._run = run
        self._declared = call
        self._compiled = compile_call(call)
        self._topic = input_name(run.service, call.source)
        self._carried = run.carried(self._topic)
        self._calls: dict[str, tuple[StoredCall, MemoryRecord]] = {}
        self._turns = CallTurns()
        self._reads = Counter[ReadEnd]()

    def due(self) -> float:
        """Return the time at which the next call can begin."""
        return self._turns.next_due()

    def tick(self) -> bool:
        """Make one call that is due; return whether there was one."""
        turn = self._turns.first(self._run.now)
        if turn is None:
            return False
        call, record = self._calls[turn.id]
        try:
            following = self._outcome(call)
        except ValueError as error:
            following = Park(why(error))
        self._follow(turn, call, record, following)
        return True

    def _take(self, record: MemoryRecord) -> None:
        now = self._run.now
        place, event = self._compiled.read(record.value)
        call_id = f"{self._topic}/0/{record.offset}"
        call = StoredCall(
            id=call_id,
            place=place,
            number=record.offset,
            topic=self._topic,
            partition=0,
            offset=record.offset,
            timestamp=record.timestamp,
            message_key=record.key,
            value=record.value or b"",
            headers=list(record.headers),
            key=self._compiled.key(event, call_id),
            since=now,
            due=now,
        )
        self._calls[call_id] = call, record
        order = place if self._declared.ordered else call_id.encode()
        self._turns.add(CallTurn(call_id, order, record.offset, now))

    def _outcome(self, call: StoredCall) -> Next:
        """Make an attempt, if the call's row allows that; return what follows."""
        declared, now = self._declared, self._run.now
        _, event = self._compiled.read(call.value)
        wanted = self._compiled.satisfied(self._row(event))
        if transitions.is_overdue(call, declared.retry, now) or not (wanted or self._may_wait(call)):
            return transitions.overdue(call, declared.retry, unwanted=not wanted)
        if not wanted:
            return replace(call, due=min(now + 1.0, call.since + declared.retry.within))
        begun = transitions.begun(call, BEGINNING)
        read = RowReader(self._compiled, self._fetch, self._reads)
        attempt = Attempt(begun.key, begun.attempt, self._carried.outside(call.event), read)
        returned, error = _made(declared, event, attempt)
        outcome = (
            done(self._compiled, begun, returned)
            if error is None
            else Failed(call.id, begun.attempt, BEGINNING, now, cause_of(error), outage=is_outage(declared, error))
        )
        following = transitions.after(begun, outcome, declared.retry, now)
        assert following is not None  # noqa: S101 - the attempt is under way
        if isinstance(following, StoredCall) and not self._may_wait(call):
            return Abandon(following.cause)
        return following

    def _may_wait(self, call: StoredCall) -> bool:
        return not self._run.complete and self._run.now < call.since + self._declared.retry.within

    def _row(self, event: Any) -> bytes | None:
        if (only := self._declared.only_while) is None:
            return None
        return self._run.table(only.table.topic).get(self._compiled.row_key(event))

    async def _fetch(self, remote: RemoteTable, key: bytes) -> bytes | None:
        return self._run.table(remote.table.topic).get(key)

    def _follow(self, turn: CallTurn, call: StoredCall, record: MemoryRecord, following: Next) -> None:
        try:
            match following:
                case StoredCall():
                    self._calls[call.id] = following, record
                    self._turns.look_at(turn, following.due)
                    return
                case Publish():
                    self._publish(call, following.events)
                case Abandon():
                    self._give_up(call, record, following)
                case Park():
                    self._run.dead_letter(self._topic, record, following.cause)
        except ValueError as error:
            self._run.dead_letter(self._topic, record, why(error))
        self._turns.remove(turn)
        del self._calls[call.id]

    def _give_up(self, call: StoredCall, record: MemoryRecord, given_up: Abandon) -> None:
        if self._declared.otherwise is not None:
            _, event = self._compiled.read(call.value)
            attempts = call.attempt + (not given_up.unwanted)
            self._publish(call, self._compiled.given_up(event, GaveUp(given_up.reason, attempts)))
        elif not given_up.unwanted:
            self._run.dead_letter(self._topic, record, given_up.reason)

    def _publish(self, call: StoredCall, events: list[ResultEvent]) -> None:
        carried, topics = self._carried.of(call.event), {topic.name: topic for topic in self._declared.into}
        for each in events:
            self._run.publish(topics[each.into], each.key, each.value, call.timestamp, carried)


def _made(call: Call, event: Any, attempt: Attempt) -> tuple[Any, BaseException | None]:
    """Run the function of a call; whatever it raises is a value."""
    found: list[tuple[Any, BaseException | None]] = []

    async def awaited() -> Any:
        async with asyncio.timeout(call.timeout):
            return await call.function(event, attempt)  # type: ignore[misc]  # checked with the declaration

    def run() -> None:
        try:
            is_async = inspect.iscoroutinefunction(call.function)
            found.append((asyncio.run(awaited()) if is_async else call.function(event, attempt), None))  # type: ignore[misc]
        except BaseException as error:  # noqa: BLE001 - the function raised it
            found.append((None, error))

    # A test may run in an event loop itself.
    thread = threading.Thread(target=run, name=f"call {call.name}")
    thread.start()
    thread.join()
    return found[0]
