"""Requests of clients: decided in the open unit of their partition, and answered once it is committed.

A client waits at the worker that has the partition. The desk outlives assignments: it knows which requests this worker
can decide now, and ends those that no unit will answer any more.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop, timeout
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec

from larder.counters.operator_counts import RequestCounts
from larder.declaring.compiled.requests import ReadRequest
from larder.declaring.counted_requests import NO_ROW, CountedRequest
from larder.declaring.dead_letters import cause_of
from larder.declaring.problems import LarderError
from larder.delivery.delivery import Delivery
from larder.operators.decides.counted import CountedRequests
from larder.operators.decides.decide import Decider
from larder.operators.user_code import no_exit

SLICE_REQUESTS: Final = 200
"""How many requests are decided before control returns to the event loop."""

MOST_WAITING: Final = 1_000
"""How many requests may wait for one partition: more would not be answered in time."""


class RequestFailedError(LarderError):
    """A request has no outcome."""


class NotHereError(RequestFailedError):
    """This worker does not decide on the partition now; nothing has happened, so another worker may be asked."""


class BusyError(RequestFailedError):
    """Too many requests wait for the partition; nothing has happened."""


class UnknownOutcomeError(RequestFailedError):
    """The request was decided, but it is unknown whether the decision was committed."""


class OtherValueError(RequestFailedError):
    """The `Idempotency-Key` came with another value before; nothing has happened."""


class NotDecidableError(RequestFailedError):
    """The function raised an error, or returned what cannot be written; nothing has happened."""


class Outcome(NamedTuple):
    """A committed decision: the row as it was then (None if there is none), and why the request was refused, if it was.

    existed   there was a row before.
    repeated  it was decided before, and this is its first answer.
    """

    row: bytes | None
    revision: int | None
    existed: bool
    refusal: str | None
    repeated: bool = False


class RequestTrigger(NamedTuple):
    """The request to decide on: its id, its JSON, its time in milliseconds."""

    where: str
    json: bytes | None
    timestamp: int


@dataclass(eq=False)
class Asked:
    """A request that a client waits for; `decided` once a unit has the decision."""

    request: ReadRequest
    outcome: Future[Outcome]
    decided: bool = False


class Requests:
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
            outcome = self._known(asked.request) or self._decided(asked.request, now)
        except RequestFailedError as error:
            asked.outcome.set_exception(error)
            return
        asked.decided = True
        # Even a decision that changes nothing may rest on rows that are not committed yet.
        self._decider.rows.fence()
        self._delivery.unit.afterwards.append(partial(_tell, asked.outcome, outcome))

    def _known(self, request: ReadRequest) -> Outcome | None:
        """Return the first answer of a request that has counted; raise OtherValueError if it had another value."""
        if request.id is None or (counted := self._counted.find(request.id)) is None:
            return None
        if counted.digest != request.digest:
            message = "the header Idempotency-Key came with another body before"
            raise OtherValueError(message)
        self._counts.repeated += 1
        row = None if counted.row == NO_ROW else bytes(counted.row)
        return Outcome(row, counted.revision, counted.existed, counted.refusal, repeated=True)

    @no_exit()
    def _decided(self, request: ReadRequest, now: float) -> Outcome:
        decider, rows, timestamp = self._decider, self._decider.rows, int(now * 1000)
        before = decider.row(request.key)
        where = f"{decider.name} {uuid4().hex if request.id is None else request.id.hex()}"
        try:
            trigger = RequestTrigger(where, request.json, timestamp)
            verdict = decider.decide(request.key, request.event, before, trigger)
        except ValueError as error:
            self._counts.parked += 1
            raise NotDecidableError(cause_of(error)) from error
        decider.flush()
        row = rows.raw(request.key)
        revision = None if row is None else rows.revision(request.key)
        outcome = Outcome(row, revision, before is not None, verdict.refusal)
        if request.id is not None:
            self._counted.keep(_counted(request, request.id, outcome, now), timestamp)
        return outcome


def _counted(request: ReadRequest, id_: bytes, outcome: Outcome, now: float) -> CountedRequest:
    return CountedRequest(
        id=id_,
        place=request.key,
        digest=request.digest,
        at=now,
        row=NO_ROW if outcome.row is None else msgspec.Raw(outcome.row),
        revision=outcome.revision,
        existed=outcome.existed,
        refusal=outcome.refusal,
    )


def _tell(future: Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


class RequestDesk:
    """Takes the requests of clients for the partitions that this worker has."""

    def __init__(self) -> None:
        self._open: Mapping[tuple[str, int], Requests] = {}
        self._wake: Callable[[], None] = lambda: None
        self._asked: set[Future[Outcome]] = set()

    def open(self, requests: Mapping[tuple[str, int], Requests], wake: Callable[[], None]) -> None:
        """Take requests, by address and partition, until `close`; `wake` wakes the loop that decides on them."""
        self.close()
        self._open, self._wake = requests, wake

    def close(self) -> None:
        """Take no more; those that were not decided may be asked of another worker."""
        for (address, partition), each in self._open.items():
            for asked in each.take_back():
                _fail(asked.outcome, NotHereError(f"partition {partition} of {address} moves to another worker"))
        self._open = {}

    def lose(self) -> None:
        """End those that were decided in a unit whose commit failed: whether it counts is unknown."""
        for outcome in list(self._asked):
            _fail(outcome, UnknownOutcomeError("the decision may have been committed"))

    async def ask(self, address: str, partition: int, request: ReadRequest, *, seconds: float) -> Outcome:
        """Return the outcome of a request once it is committed, within so many seconds.

        Raise UnknownOutcomeError if it may count; any other RequestFailedError if nothing has happened.
        """
        requests = self._open.get((address, partition))
        if requests is None:
            message = f"this worker does not decide on partition {partition} of {address} now"
            raise NotHereError(message)
        asked = Asked(request, get_running_loop().create_future())
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


def _fail(future: Future[Outcome], error: LarderError) -> None:
    if not future.done():
        future.set_exception(error)
