"""What a worker tells of itself: the quality of its joins, its health, its metrics.

Decides nothing: see `joins`, `health` and `metrics` beside it. The worker looks at itself every few seconds: what
stands still, and how fast records go, can only be told from an earlier look, and nobody else may have made one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from prometheus_client import ProcessCollector, generate_latest

from larder.observability import health, joins
from larder.observability.metrics.families import Families
from larder.observability.metrics.reading import read_requests, read_worker
from larder.observability.metrics.requests import Requests
from larder.observability.rates import Rates, counted
from larder.observability.topology import topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from prometheus_client.core import Metric as Family

    from larder.store import Memory
    from larder.worker.runner import ServiceRunner

log = logging.getLogger("larder")

EVERY_SECONDS = 5.0
"""Between two looks of its own: a few of them make up what a partition may stand still for."""


class Observed:
    """One worker, as it is looked at. `stall` in seconds: so long a partition with lag may stand still."""

    def __init__(
        self,
        runner: ServiceRunner,
        memory: Memory,
        clock: Callable[[], float],
        *,
        stall: float = health.STALL_SECONDS,
        warnings: Sequence[str] = (),
    ) -> None:
        """`clock` gives seconds since the epoch; `warnings`: what the process lacks, though it works without."""
        self.requests = Requests()
        self._runner = runner
        self._memory = memory
        self._clock = clock
        self._stall = stall
        self._besides = [{"why": each} for each in warnings]
        self._looked = health.NOTHING
        self._lives = True
        self._rates = Rates()
        self._process = ProcessCollector(registry=None)

    def joins(self) -> dict[str, Any]:
        """Give the quality of each join."""
        return joins.quality(self._runner.runtime.service, self._runner.runtime.counts, self._runner.waiting())

    def topology(self) -> dict[str, Any]:
        """Give what the service reads, keeps and writes, with rates of this worker."""
        return topology(self._runner.runtime.service, self._measure())

    def _measure(self) -> dict[str, float]:
        return self._rates.look(counted(self._runner), time.monotonic())

    def live(self) -> health.HealthVerdict:
        """Look at the partitions, and judge; whoever restarts a worker finds the reason in its log."""
        self._looked = health.look(self._looked, self._runner.vitals(), time.monotonic())
        verdict = health.live(self._looked, self._stall)
        if verdict.good != self._lives:
            self._lives = verdict.good
            log.warning("%s", health.line(verdict))
        return verdict

    async def keep_looking(self, every: float) -> None:
        """Look time and again, for ever; `every` in seconds."""
        while True:
            self.live()
            self._measure()
            await asyncio.sleep(every)

    def ready(self) -> health.HealthVerdict:
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

    def told(self, name: str, verdict: health.HealthVerdict) -> dict[str, Any]:
        """Give a verdict as it is answered."""
        return {
            name: verdict.good,
            "service": self._runner.runtime.service.name,
            "worker": self._runner.runtime.options.worker,
            "phase": self._runner.phase,
            "reasons": verdict.reasons,
            "besides": [*verdict.besides, *self._besides],
        }


@asynccontextmanager
async def looked_at(observed: Observed, stop: asyncio.Event, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
    """Have a worker look at itself while the block lasts; if that fails, `stop` is set, and it is raised behind."""
    looking = asyncio.create_task(observed.keep_looking(every))
    looking.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})
    if not looking.cancelled():
        looking.result()


class _Collected:
    """What was collected already, as prometheus-client asks for it."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
