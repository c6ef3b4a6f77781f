"""The state of one partition of a table, and the only source for it.

Readiness, held-back joins, pages and metrics read it, wait for it or observe it. It has measurements; the store keeps
the position itself, and reports it after each write. Time comes in from outside. Knows no stores and no brokers.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

# Ends that were fetched and not reached yet. If a partition lags by more fetches, its
# freshness is a little less precise, and the list stays short.
_UNMET_ENDS: Final = 64


class Phase(IntEnum):
    """The phases of a partition, in order.

    STARTING      nothing is known yet.
    DISCONNECTED  no broker: answers come from the last local copy.
    RECOVERING    behind the end at the last measurement, or with rows that are gone from
                  the topic and have to be removed.
    CAUGHT_UP     its position has reached that end, and there are no such rows.
    STANDBY       the same, for a partition that another worker processes.
    """

    STARTING = 0
    DISCONNECTED = 1
    RECOVERING = 2
    CAUGHT_UP = 3
    STANDBY = 4


class _End(NamedTuple):
    offset: int
    fetched_at: float


class State:
    """Position, end and phase of one partition of one table.

    The caller passes times, in seconds since 1970. Belongs to one event loop.
    """

    def __init__(self, table: str, partition: int) -> None:
        """Start in STARTING, at position 0, with an unknown end."""
        self.table = table
        self.partition = partition
        self.position = 0
        self.end: int | None = None
        self.target: int | None = None
        self.at_end: float | None = None
        self.rows = 0
        self.measured_rows = 0
        self.measured_position = 0
        self.measured_at: float | None = None
        self._disconnected = False
        self._sweeping = False
        self._fresh_at: float | None = None
        self._standby = False
        self._unmet: deque[_End] = deque()
        self._phase = Phase.STARTING
        self._observers: list[Callable[[State], None]] = []
        self._waiting: list[tuple[Phase, asyncio.Future[None]]] = []
        self._passing: list[tuple[int, asyncio.Future[bool]]] = []
        self._closed = False

    @property
    def phase(self) -> Phase:
        """The phase of the partition."""
        return self._phase

    @property
    def stands_by(self) -> bool:
        """Whether another worker processes the partition."""
        return self._standby

    @property
    def lag(self) -> int | None:
        """The offsets before the end that was last fetched; None without one.

        Offsets, not records: compaction and transaction markers leave gaps.
        """
        return None if self.end is None else max(0, self.end - self.position)

    @property
    def is_read(self) -> bool:
        """Whether the position has reached the end at the last measurement."""
        return self.target is not None and self.position >= self.target

    def freshness(self, now: float) -> float | None:
        """Return the seconds since the position last reached the end, without rows to remove; None if unknown."""
        return max(0.0, now - self._fresh_at) if self._fresh_at else None

    def opened(self, position: int, at_end: float | None, *, sweeping: bool = False) -> None:
        """Take over the state of the store; with `sweeping` it has rows that may be gone from the topic."""
        self.position = position
        self.at_end = at_end
        self._sweeping = sweeping
        self._fresh_at = None if sweeping else at_end
        self.remeasure()

    def begun_again(self, first: int) -> None:
        """Report that the log is read from its start again; rows stay as fresh as they were until `swept`."""
        self.position = first
        self._sweeping = True
        self.remeasure()

    def remeasure(self) -> None:
        """Forget that it was caught up: the next observed end decides.

        Called at each assignment, and after a pause of the process (rule 6).
        """
        self.end = self.target = self.measured_at = None
        self._unmet.clear()
        self._settle()

    def disconnect(self) -> None:
        """Report that there is no broker, until the next end is observed."""
        self._disconnected = True
        self.remeasure()

    def stand_by(self, *, standby: bool) -> None:
        """Report whether another worker processes the partition, which makes it STANDBY instead of CAUGHT_UP."""
        self._standby = standby
        self._settle()

    def observe(self, end: int, fetched_at: float) -> None:
        """Report a fetched end of the topic; at time 0, it is unknown how fresh the rows up to there are.

        The first one after `remeasure` is the one to reach. Later ones only change lag and freshness, so that steady
        traffic does not look like a recovery.
        """
        self._disconnected = False
        self.end = end
        if self.target is None:
            self.target, self.measured_at = end, fetched_at
            self.measured_position, self.measured_rows = self.position, self.rows
        if len(self._unmet) == _UNMET_ENDS:
            self._unmet.pop()
        self._unmet.append(_End(end, fetched_at))
        self._settle()

    def swept(self) -> None:
        """Report that the rows that the topic no longer has were removed."""
        self._sweeping = False
        self._fresh_at = self.at_end
        self._settle()

    def applied(self, position: int, rows: int) -> None:
        """Report the position that was just stored, and the number of records up to it."""
        self.position = position
        self.rows += rows
        if self._passing:
            self._tell_passed()
        self._settle()

    def close(self) -> None:
        """Report that the store is closed, which ends all waits for a position."""
        self._closed = True
        self._tell_passed()

    async def passed(self, offset: int) -> bool:
        """Wait until the position is past an offset; False if the store is closed.

        The caller sets the deadline.
        """
        if self._closed or self.position > offset:
            return not self._closed
        passed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._passing.append((offset, passed))
        try:
            return await passed
        finally:
            self._passing.remove((offset, passed))

    def _tell_passed(self) -> None:
        for offset, future in self._passing:
            if not future.done() and (self._closed or self.position > offset):
                future.set_result(not self._closed)

    async def wait_for(self, phase: Phase, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until the partition is at least in a phase.

        Raise TimeoutError after `timeout` seconds, with the wanted phase and the present one.
        """
        try:
            async with asyncio.timeout(timeout):
                while self._phase < phase:
                    await self._reached(phase)
        except TimeoutError:
            message = (
                f"table {self.table} partition {self.partition} requires "
                f"{phase.name.lower()} within {timeout:g} s; found "
                f"{self._phase.name.lower()} at {self.position} of {self.end}"
            )
            raise TimeoutError(message) from None

    async def _reached(self, phase: Phase) -> None:
        waiting = (phase, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting[1]
        finally:
            self._waiting.remove(waiting)

    def subscribe(self, observer: Callable[["State"], None]) -> Callable[[], None]:
        """Call the observer at each change of phase; return a function that ends this."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _settle(self) -> None:
        while self._unmet and self.position >= self._unmet[0].offset:
            self.at_end = self._unmet.popleft().fetched_at
            if not self._sweeping:
                self._fresh_at = self.at_end
        phase = self._measured()
        if phase is self._phase:
            return
        self._phase = phase
        for wanted, future in self._waiting:
            if phase >= wanted and not future.done():
                future.set_result(None)
        for observer in tuple(self._observers):
            observer(self)

    def _measured(self) -> Phase:
        if self._disconnected:
            return Phase.DISCONNECTED
        if self.target is None:
            return Phase.STARTING
        if not self.is_read or self._sweeping:
            return Phase.RECOVERING
        return Phase.STANDBY if self._standby else Phase.CAUGHT_UP
