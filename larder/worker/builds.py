"""Whether the internal topics from which a service reads tables have all rows: mirrors, and rows of states. Pure.

A mirror misses a deletion if nobody read its source for longer than the source keeps deletions. No worker could tell
that from its own store, so the service writes the times down, beside its generations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from larder.declaring.facts import TopicFacts
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.declaring.service import Service
from larder.declaring.sources import TableUse
from larder.local_tables.horizon import LEAST_RETENTION

WRITTEN_SECONDS: Final = 300.0
"""How often a time is written down; a time that is older than it could be only makes an absence look longer."""


class MirrorTime(msgspec.Struct, frozen=True):
    """When the mirror of a source, the topic with that id, had all of its deletions: in seconds since the epoch."""

    source: str
    topic_id: str
    at: float

    def key(self) -> bytes:
        """Return the key of its record: the last record of a source counts."""
        return f"mirror {self.source}".encode()

    def encode(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)


def read_mirror_time(value: bytes) -> MirrorTime | None:
    """Decode a time; return None for any other value."""
    try:
        return msgspec.json.decode(value, type=MirrorTime)
    except (msgspec.MsgspecError, RecursionError):
        return None


def mirrored(service: Service) -> Mapping[str, str]:
    """Return the mirrors of a service by their sources."""
    return {each.source.name: each.name_in(service.name) for each in service.rekeyed if each.mirrored}


def retention(facts: TopicFacts) -> float:
    """Return how many seconds a topic keeps deletions."""
    return max(facts.delete_retention_ms / 1000, LEAST_RETENTION)


def late_mirrors(
    service: Service, facts: Mapping[str, TopicFacts], times: Mapping[str, float], now: float
) -> Iterable[Problem]:
    """Yield the problem of each mirror that may have missed deletions; `times` by source, in seconds."""
    for source, at in times.items():
        if abs(now - at) > retention(facts[source]):
            yield too_late(service.name, source, mirrored(service)[source], at, retention(facts[source]))


def lacking(service: str, source: str, mirror: str) -> Problem:
    """Return the problem of a mirror that does not begin with the first record of its source."""
    return Problem(
        f"mirror of {source} in {service}",
        f"requires all rows of {source}",
        f"a new topic {mirror}, and offsets of {source} that were committed before",
        f"stop all workers of {service}, reset the offsets of group {service} for {source} to the earliest, and start"
        " the workers",
    )


def too_late(service: str, source: str, mirror: str, at: float, kept: float) -> Problem:
    """Return the problem of a mirror whose source nobody read for longer than it keeps deletions."""
    since = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return Problem(
        f"mirror of {source} in {service}",
        f"requires that {service} reads {source} at least every {kept:g} s, as long as it keeps deletions",
        f"nothing read since {since}: deletions may be missing",
        f"stop all workers of {service}, delete the topic {mirror}, reset the offsets of group"
        f" {service} for {source} to the earliest, and start the workers",
    )


def rows_elsewhere(service: Service, state: TableUse, partitions: int) -> Problem:
    """Return the problem of a state whose rows are in its own topic alone, with that number of partitions."""
    wanted = counted(service.counts[state.read_from.name], "partition")
    return Problem(
        f"state {state.name}",
        f"requires its rows in {state.read_from.name}, in {wanted}",
        f"no such topic, and rows in {counted(partitions, 'partition')} of {state.name}",
        f"start {service.name} under a new name with partitions={partitions}, or rename its state",
    )
