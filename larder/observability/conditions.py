"""What is wrong with a worker, judged from its status, once for pages and for doctor. Pure.

A condition says what was found and how bad it is. Pages and doctor put it into their own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from larder.assembly.uneven import WHILE_SCALED
from larder.declaring.growth import UNDER_WAY
from larder.declaring.plurals import counted, plural
from larder.observability.outcomes import CALL
from larder.operators.calls.breaker import BreakerState
from larder.worker.activity import ENDING, SCALING

Report = Mapping[str, Any]


class Severity(IntEnum):
    """How bad a condition is: good to know; will go wrong sooner or later; is going wrong now, which sorts first."""

    HINT = 2
    WARNING = 1
    ERROR = 0


class NotRunning(NamedTuple):
    """The worker is not processing records yet, or no longer."""

    severity: Severity
    phase: str


class BeingScaled(NamedTuple):
    """The service gets another number of partitions, as somebody asked for. Its growth may just have ended."""

    growth: Report | None
    severity: Severity = Severity.HINT


class Shortage(NamedTuple):
    """The worker has too little of something, and continues."""

    warning: str
    severity: Severity = Severity.WARNING


class HeldBack(NamedTuple):
    """Records of an input are not processed, since their results could be wrong."""

    problem: str
    severity: Severity = Severity.ERROR


class Diverging(NamedTuple):
    """The owner of a table published a lower revision than before, so copies may differ; `fell` has the place."""

    table: str
    fell: Report
    severity: Severity = Severity.ERROR


class RejectedRows(NamedTuple):
    """Records of a table that are not valid rows; `held` says how the worker holds the table."""

    table: str
    records: int
    held: str
    severity: Severity = Severity.WARNING


class OpenBreaker(NamedTuple):
    """What a call calls is down: the worker makes no calls but one from time to time, as a trial."""

    call: str
    waiting: int
    severity: Severity = Severity.WARNING

    @property
    def why(self) -> str:
        """It in a sentence."""
        return f"what it calls is down: one call from time to time is tried, and {self.waiting:,} wait"


class HangingCalls(NamedTuple):
    """Calls that do not end though their time is over; each keeps its place among those that may run at once."""

    call: str
    hanging: int
    severity: Severity = Severity.WARNING

    @property
    def why(self) -> str:
        """It in a sentence."""
        return f"{counted(self.hanging, 'function')} not ended though the time is over"


class FullCalls(NamedTuple):
    """Partitions in which as many calls wait as the declaration allows, so that their events wait."""

    call: str
    partitions: tuple[int, ...]
    severity: Severity = Severity.WARNING

    @property
    def why(self) -> str:
        """It in a sentence."""
        where = f"{plural(len(self.partitions), 'partition')} {', '.join(map(str, self.partitions))}"
        return f"as many calls as at_most allows wait in {where}"


CallCondition: TypeAlias = OpenBreaker | HangingCalls | FullCalls
Condition: TypeAlias = NotRunning | BeingScaled | Shortage | HeldBack | Diverging | RejectedRows | CallCondition


def conditions(status: Report) -> Iterator[Condition]:
    """Judge a worker, its calls and its tables by its answer to `GET /services`."""
    yield from worker_conditions(status)
    yield from call_conditions(status)
    for table in status.get("tables", ()):
        yield from table_conditions(table)


def worker_conditions(status: Report) -> Iterator[NotRunning | BeingScaled | Shortage | HeldBack]:
    """Judge a worker as a whole."""
    phase, growth = status.get("phase", "running"), status.get("growth")
    if phase.startswith(SCALING) or (growth and growth["phase"] in UNDER_WAY):
        yield BeingScaled(growth)
    if phase != "running" and not phase.startswith(SCALING):
        yield NotRunning(Severity.ERROR if phase in ENDING else Severity.WARNING, phase)
    yield from map(Shortage, status.get("warnings", ()))
    yield from (HeldBack(each) for each in status.get("held_back", ()) if WHILE_SCALED not in each)


def call_conditions(status: Report) -> Iterator[CallCondition]:
    """Judge its calls. None of this is a reason to restart it: no restart makes the other side answer."""
    for each in status.get("operators", ()):
        if each["kind"] == CALL:
            yield from _call(each)


def _call(call: Report) -> Iterator[CallCondition]:
    name = call["name"]
    if call["breaker"]["state"] != BreakerState.CLOSED:
        yield OpenBreaker(name, call["waiting"])
    if call["hanging"]:
        yield HangingCalls(name, call["hanging"])
    if call["full"]:
        yield FullCalls(name, tuple(call["full"]))


def table_conditions(table: Report) -> Iterator[Diverging | RejectedRows]:
    """Judge one of its tables. Progress is not judged here: it changes all the time."""
    if fell := table.get("diverging"):
        yield Diverging(table["table"], fell)
    if parked := table.get("parked"):
        yield RejectedRows(table["table"], parked, table["held"])
