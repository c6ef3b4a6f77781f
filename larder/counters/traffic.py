"""How much a worker has consumed and produced since it started, counted once per batch.

Plain numbers that only rise. Knows neither Kafka nor metrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from larder.counters.left_out_headers import LeftOutHeaders

BATCH_RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
"""Bounds for the sizes of batches: a slice has at most 500 records, or 1,000 rows of a followed table."""

COMMIT_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
"""Bounds for the duration of a commit: a few milliseconds, and at most twice `delivery.ANSWER_SECONDS`."""

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds for the duration of a call: from a service nearby to a slow provider."""


class Histogram:
    """How many values were at most each of `bounds`, and how many were above the last one. Has their sum too."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Taken:
    """The consumption of one topic: records by partition, and the sizes of their batches."""

    __slots__ = ("records", "sizes")

    def __init__(self) -> None:
        self.records: Counter[int] = Counter()
        self.sizes = Histogram(BATCH_RECORDS)

    def add(self, partition: int, records: int) -> None:
        """Count a batch, unless it has only a position and no records."""
        if records:
            self.records[partition] += records
            self.sizes.observe(records)


class Traffic:
    """`published` counts records of committed units, by topic and partition.

    `left_out` counts records whose carried headers were too large.
    """

    def __init__(self) -> None:
        self.taken: defaultdict[str, Taken] = defaultdict(Taken)
        self.published: Counter[tuple[str, int]] = Counter()
        self.commits = Histogram(COMMIT_SECONDS)
        self.left_out = LeftOutHeaders()
        self.rewinds = 0
        self.assignments = 0

    def committed(self, published: Counter[tuple[str, int]], seconds: float) -> None:
        """Count a unit whose offsets were committed `seconds` after it was closed."""
        self.published.update(published)
        self.commits.observe(seconds)
