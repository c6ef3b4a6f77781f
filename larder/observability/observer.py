"""What a worker reports about itself: the outcomes of its joins, its health, its metrics.

Decides nothing: see `joins`, `health` and `metrics` beside it. The worker looks at itself every few seconds, since
stalls and rates need an earlier look for comparison.
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
from larder.observability.conditions import call_conditions
from larder.observability.metrics.families import Families
from larder.observability.metrics.reading import read_requests, read_worker
from larder.observability.metrics.requests import Requests
from larder.observability.outcomes import CALL
from larder.observability.rates import Rates, counted
from larder.observability.topology import topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric as Family

    from larder.store import Memory
    from larder.worker.call_status import CallStatus
    from larder.worker.runner import ServiceRunner

log = logging.getLogger("larder")

EVERY_SECONDS = 5.0
"""The time between two looks: several fit into the time after which a partition counts as stalled."""


class Observed:
    """One worker under observation. `stall`: seconds after which a partition with lag counts as stalled."""

    def __init__(
        self,
        runner: ServiceRunner,
        memory: Memory,
        clock: Callable[[], float],
        *,
        stall: float = health.STALL_SECONDS,
        warnings: Sequence[str] = (),
    ) -> None:
        """`clock` returns seconds since the epoch; `warnings` names what the process has too little of."""
        self.requests = Requests()
        self._runner = runner
        self._memory = memory
        self._clock = clock
        self._stall = stall
        self._besides = [{"why": each} for each in warnings]
        self._looked = health.NOTHING
        self._lives = True
        self._was_ready = False
        self._rates = Rates()
        self._process = ProcessCollector(registry=None)

    def joins(self) -> dict[str, Any]:
        """Return the outcomes of each join, with samples."""
        return joins.quality(self._runner.runtime.service, self._runner.runtime.counts, self._runner.waiting())

    def topology(self) -> dict[str, Any]:
        """Return what the service reads, keeps and writes, with the rates of this worker."""
        return topology(self._runner.runtime.service, self._measure())

    def _measure(self) -> dict[str, float]:
        return self._rates.look(counted(self._runner), time.monotonic())

    def live(self) -> health.HealthVerdict:
        """Look at the partitions and judge; a change of the verdict is logged with its reason."""
        self._looked = health.look(self._looked, self._runner.vitals(), time.monotonic())
        verdict = health.live(self._looked, self._stall)
        if verdict.good != self._lives:
            self._lives = verdict.good
            log.warning("%s", health.line(verdict))
        return verdict

    async def keep_looking(self, every: float) -> None:
        """Look every `every` seconds until cancelled."""
        while True:
            self.live()
            self.ready()
            self._measure()
            await asyncio.sleep(every)

    def ready(self) -> health.HealthVerdict:
        """Judge whether the worker can answer."""
        verdict = health.ready(self._runner.vitals(), before=self._was_ready)
        self._was_ready = self._was_ready or verdict.good
        return verdict

    async def measured(self) -> Families:
        """Read all metrics, yielding to other tasks in between."""
        families = Families()
        for _ in read_worker(families, self._runner, self._memory, self._clock()):
            await asyncio.sleep(0)
        read_requests(families, self.requests)
        families.add("larder_live", self.live().good)
        families.add("larder_ready", self.ready().good)
        return families

    def text(self, families: Families) -> bytes:
        """Write metrics, including those of the process, in Prometheus' text format; runs in any thread."""
        return generate_latest(_Collected(chain(families.collect(), self._process.collect())))

    def answer(self, name: str, verdict: health.HealthVerdict) -> dict[str, Any]:
        """Return the answer for a verdict."""
        return {
            name: verdict.good,
            "service": self._runner.runtime.service.name,
            "worker": self._runner.runtime.options.worker,
            "phase": self._runner.phase,
            "reasons": verdict.reasons,
            "besides": [*verdict.besides, *self._besides, *_besides(self._runner.calls())],
        }


def _besides(calls: Mapping[str, CallStatus]) -> Iterator[dict[str, Any]]:
    """Yield what is worth knowing of its calls."""
    operators = [{"kind": CALL, "name": name, **each.as_dict()} for name, each in calls.items()]
    return ({"call": each.call, "why": each.why} for each in call_conditions({"operators": operators}))


@asynccontextmanager
async def looked_at(observed: Observed, stop: asyncio.Event, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
    """Let a worker look at itself during the block; a failure sets `stop`, and is raised after the block."""
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
    """A collector for prometheus-client that returns what was collected before."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
