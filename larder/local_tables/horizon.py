"""Where a table resumes in its topic: at its position, at the log's start, or not at all, since rows would be missing.

A store can miss two things. It misses deletions if it was away from the end of its topic for longer than the topic
keeps them; then it reads the log from the start, and removes the rows that the log does not have. It misses rows if
the broker removed records that the store had not read. Compaction keeps all rows, but somebody may delete records.

Pure: positions, logs and times in, a decision out.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, NamedTuple

from larder.declaring.problems import LarderError, Problem
from larder.store.layout import FullRead, FullReadStage
from larder.store.partition_state import State

Remainder = Literal["earliest"]
"""What remains of a topic whose records were deleted, from the earliest one on."""

DELETE_RETENTION: Final = 86_400.0
"""How many seconds a compacted topic keeps deletions by default (delete.retention.ms)."""

LEAST_RETENTION: Final = 10.0
"""The shortest assumed retention: with less, a topic would be read again and again."""


class TableGapError(LarderError):
    """A topic has lost records that a table has not read, so that the table would lack rows."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class LogRange(NamedTuple):
    """The first offset that a partition still has, and the one after its last record."""

    begin: int
    end: int


class Resumption(Enum):
    """How to resume: at the position; at the log's start with the existing rows, or without them; or not at all."""

    GO_ON = auto()
    READ_AGAIN = auto()
    REBUILD = auto()
    REFUSE = auto()


def resumption(position: int, read: FullRead | None, log: LogRange, *, late: bool, gaps_allowed: bool) -> Resumption:
    """Decide for one partition; `read` is its last full read, `late`: it may have missed deletions.

    `gaps_allowed`: an operator accepts what remains of a topic.
    """
    if read is None and position == 0:
        wanted = Resumption.READ_AGAIN
    elif not log.begin <= position <= log.end:
        wanted = Resumption.REBUILD
    elif read is None or late:
        wanted = Resumption.READ_AGAIN
    else:
        return Resumption.GO_ON
    return wanted if gaps_allowed or is_whole(read, log) else Resumption.REFUSE


def is_whole(read: FullRead | None, log: LogRange) -> bool:
    """Return whether a log begins no later than when the store was filled from it; for a new store, at 0."""
    return log.begin <= (0 if read is None else read.first)


def is_late(read: FullRead | None, state: State, now: float, retention: float) -> bool:
    """Return whether a store may have missed deletions: it has been too long since it certainly had all of them.

    That was when it last reached the end of its topic, or when its last full read began: as long as that is under way,
    the end of before counts for nothing. The end of a mirror is not met while its service is being scaled. A time in
    the future counts too: a clock that was set back must not make a long absence look short.
    """
    if read is None:
        return False
    sure = read.begun if read.stage is FullReadStage.READING else max(state.at_end or 0.0, read.begun)
    return abs(now - sure) > max(retention, LEAST_RETENTION)
