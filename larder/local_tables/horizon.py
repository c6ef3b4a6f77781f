"""Where a table goes on in its topic: at its position, at the log's start, or not at all, since there would be a hole.

Two things may have been missed. Deletions, by a store that was not at the end of its topic for longer than the topic
keeps them: it reads the log from the start, and removes what is not in it. And rows, where the broker has removed
records that the store did not read: a compacted topic keeps all rows, unless somebody deletes records of it.

Pure: positions, logs and times to a decision.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, NamedTuple

from larder.declaring.problems import LarderError, Problem
from larder.store.layout import FullRead, FullReadStage
from larder.store.partition_state import State

Remainder = Literal["earliest"]
"""Of a topic that records were deleted of: what is left of it, from the earliest on."""

DELETE_RETENTION: Final = 86_400.0
"""Seconds that Kafka keeps deletions in a compacted topic, unless told otherwise (delete.retention.ms)."""

LEAST_RETENTION: Final = 10.0
"""Less is taken for this: a topic that keeps deletions for a moment would have its log read again for ever."""


class TableHoleError(LarderError):
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
    READ_ANEW = auto()
    REBUILD = auto()
    REFUSE = auto()


def way(position: int, read: FullRead | None, log: LogRange, *, late: bool, holes: bool) -> Resumption:
    """Decide for one partition; `read` is its last full read, `late` says that deletions may have been missed.

    `holes`: somebody has said that what is left of a topic is enough.
    """
    if read is None and position == 0:
        wanted = Resumption.READ_ANEW
    elif not log.begin <= position <= log.end:
        wanted = Resumption.REBUILD
    elif read is None or late:
        wanted = Resumption.READ_ANEW
    else:
        return Resumption.GO_ON
    return wanted if holes or is_whole(read, log) else Resumption.REFUSE


def is_whole(read: FullRead | None, log: LogRange) -> bool:
    """Say whether a log begins no later than it did when the store was filled from it; for a new one: at 0."""
    return log.begin <= (0 if read is None else read.first)


def is_late(read: FullRead | None, state: State, now: float, retention: float) -> bool:
    """Say whether a store may have missed deletions, by when it was last sure to have none missed.

    That is when it last met the end of its topic, or when a full read began that did not come to the end yet.
    Either side of `now`: a clock that was set back must not make a long absence look short.
    """
    if read is None:
        return False
    sure = read.begun if read.stage is FullReadStage.READING else state.at_end or 0.0
    return abs(now - sure) > max(retention, LEAST_RETENTION)
