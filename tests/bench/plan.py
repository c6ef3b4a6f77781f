"""The sizes of a run: the full one, and the quick one, which has to end within eight minutes on two cores."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes in records, times in seconds.

    rounds         runs of each contestant of a join and of a restore; the median counts.
    begin_seconds  no further round begins later than this, so that a slower machine measures once.
    seconds        the longest time to observe a join after its first result.
    short_seconds  the same for Quix Streams and plain Faust, which would need minutes or hours for all orders.
    changes        rows to change to measure freshness, both idle and loaded.
    copied         records of the state of a decide that is scaled.
    grown          rows of the tables whose memory and cost are compared; none in the quick run.
    """

    name: str
    customers: int
    orders: int
    rounds: int
    begin_seconds: float
    seconds: float
    short_seconds: float
    restored: int
    changes: int
    copied: int
    grown: tuple[int, ...]


FULL = Plan("full", 100_000, 3_000_000, 3, math.inf, 90.0, 20.0, 2_000_000, 500, 1_000_000, (1_000_000, 10_000_000))
# A JVM compiles its hot path during the first 400,000 orders. With less than a million orders it would be measured
# cold, and it takes as long to restore 300,000 rows as a million.
QUICK = Plan("quick", 20_000, 1_200_000, 2, 100.0, 12.0, 6.0, 1_000_000, 150, 200_000, ())
