"""Records per second in each part of a service: the difference between two counts.

Nothing is counted just for rates: each look keeps its counts, and the next one returns the rate since then. A
worker looks at itself every few seconds (`larder.observability.observer`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from larder.declaring.operators import node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from larder.worker.runner import ServiceRunner

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between the two counts of a rate: a shorter time says little, and a longer one is not current."""


class Rates:
    """Keeps the counts of the last minute, at least a second apart."""

    def __init__(self) -> None:
        """Create rates without counts: the first look has none."""
        self._looks: deque[tuple[float, Mapping[str, int]]] = deque()

    def look(self, counts: Mapping[str, int], now: float) -> dict[str, float]:
        """Return records per second for each count; `now` in seconds of a monotonic clock."""
        while self._looks and now - self._looks[0][0] > LONGEST:
            self._looks.popleft()
        before = next((look for look in reversed(self._looks) if now - look[0] >= SHORTEST), None)
        if not self._looks or now - self._looks[-1][0] >= SHORTEST:
            self._looks.append((now, counts))
        if before is None:
            return {}
        at, earlier = before
        return {name: (count - earlier.get(name, 0)) / (now - at) for name, count in counts.items()}


def counted(runner: ServiceRunner) -> dict[str, int]:
    """Return how many records this worker took or published, by node of the topology."""
    counts: dict[str, int] = {}
    for (topic, _), records in runner.runtime.traffic.published.items():
        counts[f"topic:{topic}"] = counts.get(f"topic:{topic}", 0) + records
    for topic, taken in runner.runtime.traffic.taken.items():
        counts[f"topic:{topic}"] = taken.records.total()
    for name, table in runner.runtime.tables.items():
        counts[f"table:{name}"] = counts[f"topic:{table.topic.name}"] = table.taken.records.total()
    for operator in runner.runtime.service.operators:
        counts[node(operator)] = runner.runtime.counts.handled(operator)
    return counts
