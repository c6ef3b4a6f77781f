"""How much is measured: the full run, and the quick one that has to end within eight minutes on two cores."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes in records, times in seconds.

    rounds         how often each contestant of a join and of a restore runs; the median counts.
    begin_seconds  no further round begins later than that: a slower machine measures once.
    seconds        at most so long is a join watched after its first result; what came until then is measured.
    short_seconds  the same for Quix Streams and plain Faust, which would need minutes or hours for all orders.
    changes        rows that are changed to measure freshness, idle and loaded alike.
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
    grown: tuple[int, ...]


FULL = Plan("full", 100_000, 3_000_000, 3, math.inf, 90.0, 20.0, 2_000_000, 500, (1_000_000, 10_000_000))
# A JVM has compiled its hot path after some 400,000 orders: with less than a million of them it would be measured
# cold, and a restore of 300,000 rows takes it as long as one of a million.
QUICK = Plan("quick", 20_000, 1_200_000, 2, 100.0, 12.0, 6.0, 1_000_000, 150, ())
