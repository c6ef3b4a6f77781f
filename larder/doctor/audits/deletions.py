"""Whether topics of rows keep deletions for longer than a worker may be away. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from larder.declaring.plurals import counted
from larder.doctor.facts import duration
from larder.doctor.findings import Finding
from larder.doctor.mending import set_topic
from larder.local_tables.horizon import LEAST_RETENTION
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.doctor.facts import Absence, System, TopicState

AUDIT = "deletions"

READ_RATE: Final = 50_000
"""Records per second that a slow worker reads from one partition: a tenth of the measured rate of a restore."""

ROOM: Final = 2
"""The factor between the longest absence and the retention that we advise."""


def deletions(system: System) -> Iterator[Finding]:
    """Compare delete.retention.ms of each table's topic with absences, and with the duration of a full read."""
    names = dict.fromkeys(table.name for service in system.services for table in service.tables)
    for topic in [system.topics[name] for name in names if name in system.topics]:
        kept = topic.facts.delete_retention_ms / 1000
        if kept < LEAST_RETENTION:
            yield _short(system, topic, kept)
        elif (absence := _longer(system, kept)) is not None:
            yield _absent(system, topic, kept, absence)
        longest = max((end - topic.begins[at] for at, end in topic.ends.items()), default=0)
        if longest / READ_RATE > max(kept, LEAST_RETENTION):
            yield _slow(system, topic, kept, longest)


def _longer(system: System, kept: float) -> Absence | None:
    """Return an absence that is longer than deletions are kept, preferring the expected one to those observed."""
    for absence in (system.expected_absence, system.longest_absence):
        if absence is not None and absence.seconds > kept:
            return absence
    return None


def _short(system: System, topic: TopicState, kept: float) -> Finding:
    return Finding(
        Severity.ERROR,
        AUDIT,
        f"topic {topic.name}",
        f"deletions are kept for {duration(kept)} (delete.retention.ms)",
        f"a worker assumes at least {LEAST_RETENTION:g} s: after a shorter absence it may have missed deletions without"
        " noticing, and keep deleted rows",
        (set_topic(system.bootstrap, topic.name, delete_retention_ms=86_400_000),),
    )


def _absent(system: System, topic: TopicState, kept: float, absence: Absence) -> Finding:
    return Finding(
        # An observed absence costs one full read. An expected one costs it again and again.
        Severity.WARNING if absence.expected else Severity.HINT,
        AUDIT,
        f"topic {topic.name}",
        f"deletions are kept for {duration(kept)} (delete.retention.ms); {absence.who}: {duration(absence.seconds)}",
        "a worker that was away for longer may have missed deletions: it reads the whole topic before it joins records",
        (set_topic(system.bootstrap, topic.name, delete_retention_ms=_milliseconds(absence.seconds * ROOM)),),
    )


def _slow(system: System, topic: TopicState, kept: float, records: int) -> Finding:
    needed = records / READ_RATE
    return Finding(
        Severity.WARNING,
        AUDIT,
        f"topic {topic.name}",
        f"deletions are kept for {duration(kept)} (delete.retention.ms); a partition has up to"
        f" {counted(records, 'record')}, which a slow worker reads in {duration(round(needed))}",
        "a full read that takes longer than that may miss deletions itself, and has to start again",
        (set_topic(system.bootstrap, topic.name, delete_retention_ms=_milliseconds(needed * ROOM)),),
    )


def _milliseconds(seconds: float) -> int:
    """Return the milliseconds of a duration, rounded up to whole hours, as people set them."""
    return math.ceil(seconds / 3_600) * 3_600_000
