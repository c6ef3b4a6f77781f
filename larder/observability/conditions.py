"""What is wrong with a worker, as its own status says: judged here alone, for pages and for doctor. Pure.

A condition says what was found and how bad it is. Pages and doctor put it into their own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from larder.worker.activity import ENDING

Report = Mapping[str, Any]


class Severity(IntEnum):
    """How bad it is: good to know; will go wrong sooner or later; is going wrong now, which sorts first."""

    HINT = 2
    WARNING = 1
    ERROR = 0


class NotRunning(NamedTuple):
    """The worker processes nothing yet, or any more."""

    severity: Severity
    phase: str


class Shortage(NamedTuple):
    """The worker has too little of what it needs, and goes on."""

    warning: str
    severity: Severity = Severity.WARNING


class HeldBack(NamedTuple):
    """Records of an input are not processed, since what would come of them could be wrong."""

    problem: str
    severity: Severity = Severity.ERROR


class Diverging(NamedTuple):
    """The owner of a table published a revision that falls, so that copies may differ; `fell` says where."""

    table: str
    fell: Report
    severity: Severity = Severity.ERROR


class RejectedRecords(NamedTuple):
    """Records of a table are no rows of it; `held` says how the worker holds the table."""

    table: str
    records: int
    held: str
    severity: Severity = Severity.WARNING


Condition: TypeAlias = NotRunning | Shortage | HeldBack | Diverging | RejectedRecords


def conditions(status: Report) -> Iterator[Condition]:
    """Judge a worker by what it says of itself in answer to `/services`."""
    yield from worker_conditions(status)
    for table in status.get("tables", ()):
        yield from table_conditions(table)


def worker_conditions(status: Report) -> Iterator[NotRunning | Shortage | HeldBack]:
    """Judge a worker as a whole."""
    if (phase := status.get("phase", "running")) != "running":
        yield NotRunning(Severity.ERROR if phase in ENDING else Severity.WARNING, phase)
    yield from map(Shortage, status.get("warnings", ()))
    yield from map(HeldBack, status.get("held_back", ()))


def table_conditions(table: Report) -> Iterator[Diverging | RejectedRecords]:
    """Judge one of its tables; how far the table is, is a matter of the moment."""
    if fell := table.get("diverging"):
        yield Diverging(table["table"], fell)
    if parked := table.get("parked"):
        yield RejectedRecords(table["table"], parked, table["held"])
