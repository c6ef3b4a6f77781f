"""What a worker tells of itself: the quality of its joins, its health, its metrics.

Decides nothing: see `app.joins`, `app.health` and `app.metrics`.
"""

from __future__ import annotations

import asyncio
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from prometheus_client import ProcessCollector, generate_latest

from app import health, joins
from app.metrics.families import Families
from app.metrics.reading import read_requests, read_worker
from app.metrics.requests import Requests
from app.rates import Rates, counted
from app.topology import topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric as Family

    from agents.engine.running import ServiceRunner
    from tables.engine import Memory


class Observed:
    """One worker, as it is looked at. `stall` in seconds: so long a partition with lag may stand still."""

    def __init__(
        self,
        runner: ServiceRunner,
        memory: Memory,
        clock: Callable[[], float],
        *,
        stall: float = health.STALL_SECONDS,
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self.requests = Requests()
        self._runner = runner
        self._memory = memory
        self._clock = clock
        self._stall = stall
        self._looked = health.NOTHING
        self._rates = Rates()
        self._process = ProcessCollector(registry=None)

    def joins(self) -> dict[str, Any]:
        """Give the quality of each join."""
        return joins.quality(self._runner.service, self._runner.counts, self._runner.waiting())

    def topology(self) -> dict[str, Any]:
        """Give what the service reads, keeps and writes, with rates of this worker."""
        return topology(self._runner.service, self._rates.look(counted(self._runner), time.monotonic()))

    def live(self) -> health.Verdict:
        """Look at the partitions, and judge."""
        self._looked = health.look(self._looked, self._runner.vitals(), time.monotonic())
        return health.live(self._looked, self._stall)

    def ready(self) -> health.Verdict:
        """Judge whether it can answer."""
        return health.ready(self._runner.vitals())

    async def measured(self) -> Families:
        """Read all metrics as they are now, with control given back in between."""
        families = Families()
        for _ in read_worker(families, self._runner, self._memory, self._clock()):
            await asyncio.sleep(0)
        read_requests(families, self.requests)
        families.add("larder_live", self.live().good)
        families.add("larder_ready", self.ready().good)
        return families

    def text(self, families: Families) -> bytes:
        """Write metrics in Prometheus' text format, those of the process too; in whatever thread."""
        return generate_latest(_Collected(chain(families.collect(), self._process.collect())))

    def told(self, name: str, verdict: health.Verdict) -> dict[str, Any]:
        """Give a verdict as it is answered."""
        return {
            name: verdict.good,
            "service": self._runner.service.name,
            "worker": self._runner.options.worker,
            "phase": self._runner.phase,
            "reasons": verdict.reasons,
            "besides": verdict.besides,
        }


class _Collected:
    """What was collected already, as prometheus-client asks for it."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
