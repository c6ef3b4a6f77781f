"""Where a table goes on in its topic: at its position, at the log's start, or not at all, since there would be a gap.

A store can miss two things. Deletions, if it was not at the end of its topic for longer than the topic keeps them: it
reads the log from the start, and removes the rows that are not in it. And rows, if the broker removed records that the
store had not read: a compacted topic keeps all rows, unless somebody deletes records of it.

Pure: positions, logs and times to a decision.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, NamedTuple

from larder.declaring.problems import LarderError, Problem
from larder.store.layout import FullRead, FullReadStage
from larder.store.partition_state import State

Remainder = Literal["earliest"]
"""What is left of a topic whose records were deleted, from the earliest one on."""

DELETE_RETENTION: Final = 86_400.0
"""Seconds that Kafka keeps deletions in a compacted topic, unless it is configured otherwise (delete.retention.ms)."""

LEAST_RETENTION: Final = 10.0
"""The shortest retention that counts: a topic that keeps deletions for a moment would be read again for ever."""


class TableGapError(LarderError):
    """A topic no longer has records that a table has not read: the table would lack rows."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class LogRange(NamedTuple):
    """The first offset that a partition still has, and the one after its last."""

    begin: int
    end: int


class Resumption(Enum):
    """How to go on: at the position; at the log's start over the rows that are there, or without them; or not."""

    GO_ON = auto()
    READ_AGAIN = auto()
    REBUILD = auto()
    REFUSE = auto()


def resumption(position: int, read: FullRead | None, log: LogRange, *, late: bool, gaps_allowed: bool) -> Resumption:
    """Decide for one partition; `read` is its last full read, `late` says that deletions may have been missed.

    `gaps_allowed`: an operator said that what is left of a topic is enough.
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
    """Say whether a log begins no later than it did when the store was filled from it; for a new one: at 0."""
    return log.begin <= (0 if read is None else read.first)


def is_late(read: FullRead | None, state: State, now: float, retention: float) -> bool:
    """Say whether a store may have missed deletions, by when it last had certainly missed none.

    That is when it last met the end of its topic, or when a full read began that did not come to the end yet.
    Either side of `now`: a clock that was set back must not make a long absence look short.
    """
    if read is None:
        return False
    sure = read.begun if read.stage is FullReadStage.READING else state.at_end or 0.0
    return abs(now - sure) > max(retention, LEAST_RETENTION)
