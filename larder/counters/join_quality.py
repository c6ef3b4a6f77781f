"""The outcomes of each join by partition: counts, and samples of the newest records that lacked a row.

Counts only rise: they are kept while the worker runs, even if a partition moves to another worker. Records that are
read again after a rewind count again. A slice with all of its rows costs one addition; samples are taken only
of records that are handled one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from larder.clock import now
from larder.declaring.compiled.joins import LookedUp

NEWEST = 20
"""How many samples are kept of each kind, join and partition: enough to find what they have in common."""

TEXT_BYTES = 256
"""How much of a key or a cause is kept: samples of large keys must not fill the memory."""


@dataclass
class JoinCounts:
    """The outcomes of the records of a join, in this worker since it started.

    `hits`: all rows were there when the record arrived. `joined`: it has a result, at once or later. `overridden`: it
    had a field with the name of an embedded row, which replaced that field in the result.
    """

    hits: int = 0
    joined: int = 0
    missing: int = 0
    waited: int = 0
    released: int = 0
    expired: int = 0
    passed_on: int = 0
    dropped: int = 0
    parked: int = 0
    unwanted: int = 0
    overridden: int = 0

    def as_dict(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Sample(NamedTuple):
    """A record that was not joined: its offset in the join's input, and its message key.

    `lookup` is the index of the look-up that found no row, and `reference` its key (None: the record's field is null).
    Both are None if no row was missing. `at` in seconds since the epoch.
    """

    at: float
    offset: int
    key: bytes | None
    lookup: int | None
    reference: bytes | None
    cause: str | None


class JoinQuality:
    """One join on one input partition. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self.counts = JoinCounts()
        self.missing: deque[Sample] = deque(maxlen=NEWEST)
        self.expired: deque[Sample] = deque(maxlen=NEWEST)
        self.parked: deque[Sample] = deque(maxlen=NEWEST)
        self._clock = clock

    def lack(self, records: Sequence[LookedUp]) -> None:
        """Note those records of a slice that lack a row."""
        self.counts.missing += len(records)
        self.missing.extend(map(self._sample, records[-NEWEST:]))

    def expire(self, found: LookedUp) -> None:
        """Note a record that has waited for its rows as long as allowed."""
        self.counts.expired += 1
        self.expired.append(self._sample(found))

    def dead_letter(self, found: LookedUp, cause: str) -> None:
        """Note a record that is dead-lettered, for instance because it lacks a row."""
        self.counts.parked += 1
        self.parked.append(self._sample(found, cause[:TEXT_BYTES]))

    def _sample(self, found: LookedUp, cause: str | None = None) -> Sample:
        record, lookup = found.record, found.rows.index(None) if None in found.rows else None
        reference = None if lookup is None else _short(found.references[lookup])
        return Sample(self._clock(), record.offset, _short(record.key), lookup, reference, cause)


class QualityOfJoin:
    """One join, over the partitions of its input that this worker has had."""

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self._clock = clock
        self._partitions: dict[int, JoinQuality] = {}

    @property
    def partitions(self) -> Mapping[int, JoinQuality]:
        return self._partitions

    def of(self, partition: int) -> JoinQuality:
        """Return the outcomes on a partition since its first assignment."""
        return self._partitions.setdefault(partition, JoinQuality(self._clock))

    @property
    def handled(self) -> int:
        return self.total().joined

    def as_dict(self) -> dict[str, int]:
        """Return the sums over all partitions, by outcome."""
        return self.total().as_dict()

    def total(self) -> JoinCounts:
        """Return the sums over all partitions."""
        each = [quality.counts for quality in self._partitions.values()]
        return JoinCounts(*(sum(getattr(counts, field.name) for counts in each) for field in fields(JoinCounts)))


def _short(text: bytes | None) -> bytes | None:
    return None if text is None else text[:TEXT_BYTES]
