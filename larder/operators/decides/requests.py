"""Requests of clients: decided in the open unit of their partition, and answered once it is committed.

A client waits at the worker that has the partition. The desk outlives assignments: it knows which requests this worker
can decide now, and ends those that no unit will answer any more.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop, timeout
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple
from uuid import uuid4

from larder.counters.operator_counts import RequestCounts
from larder.declaring.compiled.requests import ReadRequest
from larder.declaring.dead_letters import cause_of
from larder.declaring.outcomes import (
    NotDecidableError,
    Outcome,
    RequestFailedError,
    RowCondition,
    counted_as,
    first_outcome,
)
from larder.declaring.problems import LarderError
from larder.delivery.delivery import Delivery
from larder.delivery.output import NO_HEADERS, Headers
from larder.kafka.partitioner import partition_of
from larder.operators.decides.counted import CountedRequests
from larder.operators.decides.decide import Decider, Judged
from larder.operators.user_code import no_exit

SLICE_REQUESTS: Final = 200
"""How many requests are decided before control returns to the event loop."""

MOST_WAITING: Final = 1_000
"""How many requests may wait for one partition: more would not be answered in time."""


class NotDecidedHereError(RequestFailedError):
    """This worker does not decide on the partition now; nothing has happened, so another worker may be asked."""


class BusyError(RequestFailedError):
    """Too many requests wait for the partition; nothing has happened."""


class UnknownOutcomeError(RequestFailedError):
    """The request was decided, but it is unknown whether the decision was committed."""


class RequestTrigger(NamedTuple):
    """The request to decide on: its id, its JSON, its time in milliseconds, the headers that go along."""

    where: str
    json: bytes | None
    timestamp: int
    carried: Headers


@dataclass(eq=False)
class Asked:
    """A request that a client waits for; `decided` once a unit has the decision."""

    request: ReadRequest
    outcome: Future[Outcome]
    condition: RowCondition | None = None
    carried: Headers = field(default_factory=list)
    decided: bool = False


class RequestQueue:
    """The requests at one address for one partition of their state.

    `ready` says whether all rows are known. `counted` are shared by all addresses of the state.
    """

    def __init__(
        self,
        decider: Decider,
        counted: CountedRequests,
        delivery: Delivery,
        ready: Callable[[], bool],
        counts: RequestCounts,
    ) -> None:
        self._decider = decider
        self._counted = counted
        self._delivery = delivery
        self._ready = ready
        self._counts = counts
        self._waiting: deque[Asked] = deque()
        self.partitions = decider.rows.output.partitions
        """How many partitions the state has."""

    def ask(self, asked: Asked) -> None:
        """Let a request wait for its turn; raise BusyError if too many do."""
        if len(self._waiting) >= MOST_WAITING:
            rows = self._decider.rows
            message = f"{MOST_WAITING:,} requests wait for partition {rows.partition} of {rows.output.topic}"
            raise BusyError(message)
        self._waiting.append(asked)

    def take_back(self) -> list[Asked]:
        """Return the requests that were not decided, which are not decided any more."""
        waiting, self._waiting = list(self._waiting), deque()
        return waiting

    def tick(self, now: float) -> bool:
        """Decide on waiting requests, while all rows are known; return whether more wait."""
        if not self._waiting or not self._ready() or self._decider.rows.full() or self._counted.full():
            return False
        for _ in range(min(SLICE_REQUESTS, len(self._waiting))):
            asked = self._waiting.popleft()
            if not asked.outcome.done():
                self._answer(asked, now)
        return bool(self._waiting)

    def _answer(self, asked: Asked, now: float) -> None:
        try:
            outcome = self._known(asked.request, now) or self._decided(asked, now)
        except RequestFailedError as error:
            asked.outcome.set_exception(error)
            return
        asked.decided = True
        # Even a decision that changes nothing may rest on rows that are not committed yet.
        self._decider.rows.fence()
        unit = self._delivery.unit
        unit.afterwards.append(partial(self._tell, asked.outcome, outcome))
        unit.awaited = True

    def _tell(self, asked: Future[Outcome], outcome: Outcome) -> None:
        if not asked.done():
            asked.set_result(outcome._replace(end=self._decider.rows.committed_end()))

    def _known(self, request: ReadRequest, now: float) -> Outcome | None:
        """Return the first answer of a request that has counted; raise OtherValueError if it had another value."""
        counted = None if request.id is None else self._counted.find(request.id)
        outcome = first_outcome(request, counted, now)
        self._counts.repeated += outcome is not None
        return outcome

    @no_exit()
    def _decided(self, asked: Asked, now: float) -> Outcome:
        request, decider, timestamp = asked.request, self._decider, int(now * 1000)
        before = decider.row(request.key)
        if asked.condition is not None:
            asked.condition.check(decider.rows.revision(request.key), exists=before is not None)
        where = f"{decider.name} {uuid4().hex if request.id is None else request.id.hex()}"
        try:
            trigger = RequestTrigger(where, request.json, timestamp, decider.carried.again(asked.carried))
            judged = decider.judge(request.key, request.event, before, trigger)
            outcome = self._outcome(request.key, judged, existed=before is not None)
            counted = None if request.id is None else counted_as(request.id, request, outcome, now)
            if counted is not None:
                self._counted.check(counted, timestamp)
        except ValueError as error:
            self._counts.parked += 1
            raise NotDecidableError(cause_of(error)) from error
        decider.carry_out(judged, trigger)
        decider.flush()
        if counted is not None:
            self._counted.keep(counted, timestamp)
        return outcome

    def _outcome(self, key: bytes, judged: Judged, *, existed: bool) -> Outcome:
        written, rows = judged.row(key), self._decider.rows
        if written is not None:
            row, revision = written.value, written.revision
        else:
            row, revision = rows.raw(key), rows.revision(key)
        return Outcome(row, None if row is None else revision, existed, judged.verdict.refusal)


class RequestDesk:
    """Takes the requests of clients for the partitions that this worker has.

    It places them itself: by the time that a request arrives, its state may have another number of partitions.
    """

    def __init__(self) -> None:
        self._open: Mapping[tuple[str, int], RequestQueue] = {}
        self._wake: Callable[[], None] = lambda: None
        self._asked: set[Future[Outcome]] = set()

    def open(self, requests: Mapping[tuple[str, int], RequestQueue], wake: Callable[[], None]) -> None:
        """Take requests, by address and partition, until `close`; `wake` wakes the loop that decides on them."""
        self.close()
        self._open, self._wake = requests, wake

    def close(self) -> None:
        """Take no more; those that were not decided may be asked of another worker."""
        for (address, partition), each in self._open.items():
            for asked in each.take_back():
                _fail(asked.outcome, NotDecidedHereError(f"partition {partition} of {address} moves to another worker"))
        self._open = {}

    def lose(self) -> None:
        """End those that were decided in a unit whose commit failed: whether it counts is unknown."""
        for outcome in list(self._asked):
            _fail(outcome, UnknownOutcomeError("the decision may have been committed"))

    async def ask(
        self,
        address: str,
        request: ReadRequest,
        condition: RowCondition | None,
        carried: Headers = NO_HEADERS,
        *,
        seconds: float,
    ) -> Outcome:
        """Return the outcome of a request once it is committed, within so many seconds.

        Raise UnknownOutcomeError if it may count; any other RequestFailedError if nothing has happened.
        """
        requests = self._queue(address, request.key)
        asked = Asked(request, get_running_loop().create_future(), condition, carried)
        requests.ask(asked)
        self._asked.add(asked.outcome)
        asked.outcome.add_done_callback(self._asked.discard)
        self._wake()
        try:
            async with timeout(seconds):
                return await asked.outcome
        except TimeoutError:
            message = f"waited {seconds:g} s for its turn" if not asked.decided else f"no commit within {seconds:g} s"
            raise (UnknownOutcomeError if asked.decided else BusyError)(message) from None

    def _queue(self, address: str, key: bytes) -> RequestQueue:
        count = next((each.partitions for (of, _), each in self._open.items() if of == address), 0)
        if not count:
            message = f"this worker does not decide on any partition of {address} now"
            raise NotDecidedHereError(message)
        partition = partition_of(key, count)
        if (address, partition) not in self._open:
            message = f"this worker does not decide on partition {partition} of {address} now"
            raise NotDecidedHereError(message)
        return self._open[address, partition]


def _fail(future: Future[Outcome], error: LarderError) -> None:
    if not future.done():
        future.set_exception(error)
