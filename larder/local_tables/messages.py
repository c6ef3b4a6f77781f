"""What to say about a table that no longer fits its topic, in the one form. Pure."""

from __future__ import annotations

from larder.declaring.problems import Problem
from larder.local_tables.horizon import LogRange
from larder.store.applying.revision_regressions import Fell, shown
from larder.store.layout import FullRead, FullReadStage


def gap(topic: str, partition: int, position: int, read: FullRead | None, log: LogRange) -> Problem:
    """A table is refused because it would lack rows; `read` is its last full read."""
    stands = "no store here" if read is None else f"position {position} here"
    return Problem(
        _named(topic, partition),
        "a table goes on from its position, or reads its topic from the first record on",
        f"{stands}, and a log from {log.begin} to {log.end}: records before that were deleted",
        "put back a copy of the store that has them; or have the owner publish all its rows again, and start once with"
        " --tables-from earliest (the table then has what is left in the topic)",
    )


def outside(topic: str, partition: int, position: int, log: LogRange) -> Problem:
    """A table is rebuilt."""
    return Problem(
        _named(topic, partition),
        "its position must be in the topic",
        f"position {position}, and a log from {log.begin} to {log.end}, which was restored or cut off",
        "it is rebuilt from the topic's start",
    )


def missed_deletions(topic: str, partition: int, read: FullRead, delete_retention: float) -> Problem:
    """A table is compared with its whole topic, again if it was being compared; `delete_retention` in seconds."""
    again = read.stage is FullReadStage.READING
    return Problem(
        _named(topic, partition),
        f"requires to be at the topic's end every {delete_retention:g} s: no longer does it keep deletions"
        " (delete.retention.ms)",
        "a reading of the whole topic that takes longer" if again else "a longer absence",
        "it is read from the topic's start, and rows that are not there any more are removed"
        + ("; if this goes on, raise delete.retention.ms" if again else ""),
    )


def diverging(topic: str, fell: Fell) -> Problem:
    """The owner of a table published a revision that is lower than the one before."""
    return Problem(
        _named(topic, fell.partition),
        "the revisions of a key rise in the order of the log",
        f"key {shown(fell.key)} with revision {fell.revision} at offset {fell.offset}, and with"
        f" {fell.earlier_revision} before it, at {fell.earlier_offset}",
        "the table is diverging: workers that read the topic at other times may have another row; mend the owner, have"
        " it publish that row again, and remove the stores, which are then read anew",
    )


def _named(topic: str, partition: int) -> str:
    return f"table {topic}, partition {partition}"
