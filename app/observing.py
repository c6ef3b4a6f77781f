"""What a worker tells of itself over HTTP: the quality of its joins, its health, its metrics.

One value for the web port, `Observed`, and the addresses that answer from it. Decides nothing: see `app.joins`,
`app.health` and `app.metrics`.
"""

from __future__ import annotations

import asyncio
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app import health, joins
from app.metrics.families import Families
from app.metrics.reading import read_requests, read_worker
from app.metrics.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric as Family

    from agents.engine.running import ServiceRunner
    from tables.engine import Memory

UNWELL = 503


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
        self._process = ProcessCollector(registry=None)

    def joins(self) -> dict[str, Any]:
        """Give the quality of each join."""
        return joins.quality(self._runner.service, self._runner.counts, self._runner.waiting())

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


def add_addresses(app: web.Application, observed: Observed) -> None:
    """Answer GET /joins, /health/live, /health/ready and /metrics, and count what the application answers."""

    async def joined(_: web.Request) -> web.Response:
        return _json(observed.joins())

    async def live(_: web.Request) -> web.Response:
        verdict = observed.live()
        return _json(observed.told("live", verdict), 200 if verdict.good else UNWELL)

    async def ready(_: web.Request) -> web.Response:
        verdict = observed.ready()
        return _json(observed.told("ready", verdict), 200 if verdict.good else UNWELL)

    async def metrics(_: web.Request) -> web.Response:
        # Writing thousands of lines takes longer than a slice, and needs nothing of the engine.
        body = await asyncio.to_thread(observed.text, await observed.measured())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app.middlewares.insert(0, observed.requests.middleware())
    app.router.add_get("/joins", joined)
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/metrics", metrics)


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")
