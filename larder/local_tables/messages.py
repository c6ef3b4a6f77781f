"""The problems of a table that no longer fits its topic. Pure."""

from __future__ import annotations

from larder.declaring.problems import Problem
from larder.local_tables.horizon import LogRange
from larder.store.applying.revision_regressions import Fell, shown
from larder.store.layout import FullRead, FullReadStage


def gap(topic: str, partition: int, position: int, read: FullRead | None, log: LogRange) -> Problem:
    """Explain why a table is refused: it would lack rows. `read` is its last full read."""
    stands = "no store here" if read is None else f"position {position} here"
    return Problem(
        _named(topic, partition),
        "a table resumes at its position, or reads its topic from the first record",
        f"{stands}, and a log from {log.begin} to {log.end}: records before that were deleted",
        "restore a copy of the store that has them; or have the owner publish all its rows again, and start once with"
        " --tables-from earliest (the table then has what remains in the topic)",
    )


def outside(topic: str, partition: int, position: int, log: LogRange) -> Problem:
    """Explain why a table is rebuilt."""
    return Problem(
        _named(topic, partition),
        "its position must be in the topic",
        f"position {position}, and a log from {log.begin} to {log.end}, which was restored or cut off",
        "it is rebuilt from the topic's start",
    )


def missed_deletions(topic: str, partition: int, read: FullRead, delete_retention: float) -> Problem:
    """Explain why a topic is read from its start, or once more; `delete_retention` in seconds."""
    again = read.stage is FullReadStage.READING
    return Problem(
        _named(topic, partition),
        f"must reach the topic's end every {delete_retention:g} s, which is how long the topic keeps deletions"
        " (delete.retention.ms)",
        "a read of the whole topic that takes longer" if again else "a longer absence",
        "the topic is read from its start, and rows that it no longer has are removed"
        + ("; if this happens again, raise delete.retention.ms" if again else ""),
    )


def diverging(topic: str, fell: Fell) -> Problem:
    """Explain that the owner of a table published a revision that is lower than the previous one."""
    return Problem(
        _named(topic, fell.partition),
        "the revisions of a key must rise in the order of the log",
        f"key {shown(fell.key)} with revision {fell.revision} at offset {fell.offset}, and with"
        f" {fell.earlier_revision} before it, at {fell.earlier_offset}",
        "the table is diverging: workers that read the topic at other times may have another row; fix the owner, have"
        " it publish that row again, and remove the stores, which are then rebuilt",
    )


def _named(topic: str, partition: int) -> str:
    return f"table {topic}, partition {partition}"
