"""The running calls of one worker: they outlive assignments, and report their outcomes as records.

A call runs in a task of its own, or in a thread. It is bounded in time; what does not end in time is left behind, and
keeps its place until it ends.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from larder.counters.traffic import CALL_SECONDS, Histogram
from larder.declaring.calls import Attempt, Call
from larder.declaring.compiled.calls import CompiledCall
from larder.declaring.stored_calls import Beginning, Done, Failed, StoredCall, encode
from larder.delivery.output import Output
from larder.operators.calls.breaker import Breaker
from larder.operators.calls.remote_rows import FetchRow, ReadEnd, RowReader, nobody
from larder.operators.calls.results import cause_of, done, is_outage

log = logging.getLogger("larder")

GRACE_SECONDS: Final = 5.0
"""How long the start of a call and the way of its outcome may take together. Whoever has the partition by then waits so
long, beyond the timeout, before it takes the outcome for unknown."""

CANCEL_SECONDS: Final = 0.5
"""How long a call that took too long may take to end once it is cancelled."""

LATE: Final = "it began too late: the commit was slow, or the worker was paused"

STOP_PAUSE_SECONDS: Final = 0.02
"""The pause between two looks at the calls that a stop waits for."""

MOVED_SECONDS: Final = 60.0
"""Outcomes that are older were copied into the next generation with their topic."""

KEPT_SECONDS: Final = 600.0
"""How long an outcome is kept in memory at most, to publish it again if nobody has processed it."""

Publish = Callable[[str, bytes, bytes], Awaitable[None]]
"""Publishes a record into a topic, by its key and value, partitioned by the key."""


class Start(NamedTuple):
    """A call whose beginning is committed, with its event, and the headers that go along to the outside."""

    call: StoredCall
    event: Any
    headers: Mapping[str, str]


@dataclass
class RunningCall:
    """A call that is under way; `left` once it has outlived its time."""

    begun: Beginning
    left: bool = False
    task: asyncio.Task[None] | None = None


class Finished(NamedTuple):
    """The outcome of a call that is not known to be processed; `at` is when it ended."""

    outcome: Done | Failed
    place: bytes
    at: float


@dataclass
class Outside:
    """The calls of one declaration in this worker: how many run, and whether the other side is reachable.

    `worker` and `run` name this process. `clock` returns seconds since the epoch. Outcomes go to the topic `outcomes`.
    `seconds` counts how long attempts took, at most their timeout. `fetch` reads rows of other services' tables, and
    `reads` counts how that ended.
    """

    compiled: CompiledCall
    outcomes: Output
    worker: str
    run: str
    clock: Callable[[], float]
    publish: Publish
    fetch: FetchRow = nobody
    reads: Counter[ReadEnd] = field(default_factory=Counter)
    breaker: Breaker = field(default_factory=Breaker)
    running: dict[str, RunningCall] = field(default_factory=dict)
    finished: dict[str, Finished] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)
    stopping: bool = False
    stopped: bool = False
    seconds: Histogram = field(default_factory=lambda: Histogram(CALL_SECONDS))
    _seen: dict[Beginning, float] = field(default_factory=dict)
    _reports: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def call(self) -> Call:
        """The declaration."""
        return self.compiled.call

    @property
    def hanging(self) -> int:
        """How many calls have outlived their time, and still run."""
        return sum(each.left for each in self.running.values())

    def admits(self, now: float) -> bool:
        """Return whether another call may begin."""
        most = min(self.call.at_once, self.call.threads or self.call.at_once)
        return not self.stopping and len(self.running) + len(self.reserved) < most and self.breaker.admits(now)

    def reserve(self, call: str, now: float) -> Beginning:
        """Keep a place for a call that begins with the open unit."""
        self.reserved.add(call)
        self.breaker.begin(call)
        return Beginning(self.worker, self.run, now)

    def renew(self) -> None:
        """Give up the places of calls whose beginning was not committed: an assignment has ended."""
        for call in self.reserved:
            self.breaker.drop(call)
        self.reserved.clear()

    def has_begun(self, begun: Beginning) -> bool:
        """Return whether this run of the worker has begun an attempt."""
        return (begun.worker, begun.run) == (self.worker, self.run)

    def known_since(self, begun: Beginning, now: float) -> float:
        """Return when this process first saw an attempt of another one, however often partitions moved since."""
        for old in [each for each, at in self._seen.items() if at + KEPT_SECONDS < now]:
            del self._seen[old]
        return self._seen.setdefault(begun, now)

    def start(self, start: Start) -> None:
        """Run a call whose beginning is committed."""
        call = start.call
        assert call.begun is not None  # noqa: S101 - its beginning is committed
        self.reserved.discard(call.id)
        if self.stopped or call.id in self.running:
            return
        running = self.running[call.id] = RunningCall(call.begun)
        running.task = asyncio.create_task(self._run(start, running), name=f"call {self.call.name}")

    def report(self, call: str) -> None:
        """Publish the outcome of a call, unless that is under way."""
        if call in self.finished and call not in self._reports:
            task = asyncio.create_task(self._report(self.finished[call]), name=f"outcome of {call}")
            self._reports[call] = task
            task.add_done_callback(lambda _: self._reports.pop(call, None))

    def move_to(self, outcomes: Output) -> None:
        """Publish into the topic of another generation from now on, and again what may have missed its copying."""
        if outcomes.topic != self.outcomes.topic:
            self.outcomes = outcomes
            since = self.clock() - MOVED_SECONDS
            for call in [each for each, found in self.finished.items() if found.at > since]:
                self.report(call)

    async def _report(self, found: Finished) -> None:
        """Publish an outcome; again if its topic has been replaced meanwhile, and may have been copied before."""
        topic = ""
        while topic != self.outcomes.topic:
            topic = self.outcomes.topic
            await self.publish(topic, found.place, encode(found.outcome))

    def forget(self, call: str) -> None:
        """Forget the outcome of a call: it is processed."""
        self.finished.pop(call, None)

    async def stop(self, seconds: float) -> None:
        """Begin no more calls, and wait for those that have begun; after that time, leave them behind."""
        self.stopping = True
        loop = asyncio.get_running_loop()
        until = loop.time() + min(seconds, self.call.timeout)
        # Level by level: a unit may still commit a beginning, a call ends, and its outcome goes out.
        while self._unfinished and loop.time() < until:  # noqa: ASYNC110 - a level, see above
            await asyncio.sleep(STOP_PAUSE_SECONDS)
        self.stopped = True
        for call, each in self.running.items():
            log.warning("call %s of %s still runs: the worker stops without its outcome", self.call.name, call)
            if each.task is not None:
                each.task.cancel()

    @property
    def _unfinished(self) -> bool:
        return bool(self.reserved or self._reports or any(not each.left for each in self.running.values()))

    async def _run(self, start: Start, running: RunningCall) -> None:
        call, now = start.call, self.clock()
        if now > running.begun.at + GRACE_SECONDS:
            # Its commit was slow, or the process was stopped: whoever has the partition now may have called already.
            outcome: Done | Failed = Failed(call.id, call.attempt, running.begun, now, LATE, outage=True, counts=False)
            self.breaker.drop(call.id)
            del self.running[call.id]
        else:
            outcome = await self._outcome(start, running)
        self._keep(call, outcome)
        self.report(call.id)

    async def _outcome(self, start: Start, running: RunningCall) -> Done | Failed:
        call, began = start.call, self.clock()
        work = self._work(start)
        try:
            # Not wait_for: the function may swallow its cancellation.
            await asyncio.wait({work}, timeout=self.call.timeout)
            if not work.done():
                if not await self._cancelled(work):
                    self._leave(call.id, running, work)
                return self._outage(call, running.begun, began, f"TimeoutError: no result in {self.call.timeout:g} s")
            returned, error = work.result()
        finally:
            self.seconds.observe(self.clock() - began)
            if not running.left:
                del self.running[call.id]
        if error is None:
            self.breaker.succeeded(began)
            return self._fitting(call, done(self.compiled, call, returned))
        if is_outage(self.call, error):
            return self._outage(call, running.begun, began, cause_of(error))
        self.breaker.succeeded(began)
        return self._failure(call, running.begun, cause_of(error))

    def _work(self, start: Start) -> asyncio.Task[tuple[Any, BaseException | None]]:
        read = RowReader(self.compiled, self.fetch, self.reads)
        attempt = Attempt(start.call.key, start.call.attempt, start.headers, read)
        function = self.call.function
        assert function is not None  # noqa: S101 - checked with the declaration
        working = _in_thread if self.call.threads else _guarded
        return asyncio.create_task(working(function, start.event, attempt), name=f"function {self.call.name}")

    async def _cancelled(self, work: asyncio.Task[tuple[Any, BaseException | None]]) -> bool:
        """Cancel a function whose time is over; return whether it has ended. A thread cannot be cancelled."""
        if not self.call.threads:
            work.cancel()
            await asyncio.wait({work}, timeout=CANCEL_SECONDS)
        return work.done()

    def _leave(self, call: str, running: RunningCall, work: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
        """Leave a call behind that does not end; its key and its place stay taken until it does."""
        log.warning("call %s of %s does not end when its time is over: it keeps its place", self.call.name, call)
        running.left = True
        work.add_done_callback(lambda _: self.running.pop(call, None))

    def _outage(self, call: StoredCall, by: Beginning, began: float, cause: str) -> Failed:
        now = self.clock()
        counts = self.breaker.failed(call.id, call.place, began, now)
        return Failed(call.id, call.attempt, by, now, cause, outage=True, counts=counts)

    def _failure(self, call: StoredCall, by: Beginning, cause: str) -> Failed:
        return Failed(call.id, call.attempt, by, self.clock(), cause)

    def _fitting(self, call: StoredCall, outcome: Done) -> Done:
        """Return an outcome without its result if its topic does not take that: it could never be published."""
        if self.outcomes.takes(call.place, value := encode(outcome)):
            return outcome
        return Done(call.id, call.attempt, unusable=self.outcomes.refusal(call.place, value))

    def _keep(self, call: StoredCall, outcome: Done | Failed) -> None:
        now = self.clock()
        for old in [each for each, found in self.finished.items() if found.at + KEPT_SECONDS < now]:
            del self.finished[old]
        self.finished[call.id] = Finished(outcome, call.place, now)


async def _guarded(
    function: Callable[..., Awaitable[Any]], event: Any, attempt: Attempt
) -> tuple[Any, BaseException | None]:
    """Await a user's function; whatever it raises is a value, also what would end the process."""
    try:
        return await function(event, attempt), None
    except BaseException as error:  # noqa: BLE001 - the function raised it, or its time is over
        return None, error


async def _in_thread(function: Callable[..., Any], event: Any, attempt: Attempt) -> tuple[Any, BaseException | None]:
    """Run a user's function in a thread of its own, which does not keep the process alive.

    A thread cannot be cancelled: who cancels this leaves it behind, as the event loop does when it ends.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def run() -> None:
        try:
            found: tuple[Any, BaseException | None] = function(event, attempt), None
        except BaseException as error:  # noqa: BLE001 - as above
            found = None, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set, ended, found)

    threading.Thread(target=run, name=f"call {getattr(function, '__name__', '')}", daemon=True).start()
    return await ended


def _set(ended: asyncio.Future[tuple[Any, BaseException | None]], found: tuple[Any, BaseException | None]) -> None:
    if not ended.done():
        ended.set_result(found)
