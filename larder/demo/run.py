"""The demo from its first line to its last: topics, generator, workers, what is shown, and the end in reverse order.

Each task has an owner here that takes its failure: a generator, a worker or a broker that dies ends the demo with
its cause.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.errors import KafkaError

from larder.client.local_workers import ask_all, local_workers
from larder.config.connection import Connection
from larder.demo.feeding import Feeder, producing
from larder.demo.lines import WorkerLine, line
from larder.demo.outcome import DemoOutcome, Outputs
from larder.demo.ownership import created_topics, read_back
from larder.demo.workers import WorkerProcess, running_workers
from larder.kafka.admin import Cluster
from larder.kafka.conversations import quiet_client, unavailable
from larder.queries.paths import row_path
from tables import shop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from larder.demo.screen import Screen
    from larder.local_broker import LocalBroker

# Seconds between two looks: quick while everybody waits for the first order, then at a reader's pace.
FIRST_LOOKS_SECONDS = 0.2
LOOK_SECONDS = 1.0
# Seconds that the workers have to join what is there, when the generator has ended.
REST_SECONDS = 10.0


class DemoPlan(NamedTuple):
    """What the demo is run with. `seconds` None: until it is told to stop; `began` as time.monotonic() gives it."""

    connection: Connection
    broker: LocalBroker | None
    directory: Path
    environment: Mapping[str, str]
    rate: float
    seconds: float | None
    began: float
    command: str


async def run(plan: DemoPlan, screen: Screen, stop: asyncio.Event) -> DemoOutcome:
    """Run until `stop` is set or the time is over; raises `AppError` with the cause when anything dies."""
    quiet_client()
    logs = plan.directory / "demo"
    await asyncio.to_thread(logs.mkdir, parents=True, exist_ok=True)
    try:
        # The workers start before the broker is ready: they wait for it, and their start takes as long as its own.
        async with running_workers(logs, plan.environment) as workers:
            if plan.broker:
                await asyncio.to_thread(plan.broker.wait_ready)
            outcome = await _Demo(plan, screen, workers).run(stop)
            screen.say("stopping the workers")
    except BaseExceptionGroup as group:
        raise _first(group) from group
    except (KafkaError, TimeoutError) as error:
        raise unavailable(plan.connection, str(error) or type(error).__name__) from error
    return outcome


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the failure that came first; the others follow from it."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


class _Demo:
    """What happens while workers and broker run."""

    def __init__(self, plan: DemoPlan, screen: Screen, workers: list[WorkerProcess]) -> None:
        self._plan = plan
        self._screen = screen
        self._workers = workers
        self._outcome = DemoOutcome(len(workers))
        self._lines: dict[str, WorkerLine] = {}
        self._shown_at = plan.began

    async def run(self, stop: asyncio.Event) -> DemoOutcome:
        connection = self._plan.connection
        async with Outputs(connection) as outputs:
            self._screen.say(f"Kafka answers at {connection} after {self._elapsed():.1f} s")
            async with Cluster(connection) as cluster:
                partitions = await created_topics(cluster)
            before = await read_back(connection, partitions)
            async with producing(connection) as producer:
                feeder = Feeder(producer, partitions, before)
                await feeder.open()
                self._screen.say(f"customers, products and orders flow after {self._elapsed():.1f} s")
                await self._watched(feeder, outputs, stop)
        return self._outcome

    async def _watched(self, feeder: Feeder, outputs: Outputs, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            lives = (self._look_on(feeder, outputs), self._broker_ended(), *(each.ended() for each in self._workers))
            watching = [tasks.create_task(each) for each in lives]
            ending = asyncio.Event()
            feeding = tasks.create_task(feeder.run(self._plan.rate, ending))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._plan.seconds):
                    await stop.wait()
            ending.set()
            await feeding
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REST_SECONDS):
                    await self._at_rest(feeder, outputs, stop)
            self._outcome.interrupted = stop.is_set()
            for each in watching:
                each.cancel()

    async def _broker_ended(self) -> None:
        broker = self._plan.broker
        while broker is not None:
            if not broker.running:
                raise broker.death()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_on(self, feeder: Feeder, outputs: Outputs) -> None:
        while True:
            was_joining = self._outcome.first_joined is not None
            await self._look(feeder, outputs)
            if not was_joining and self._outcome.first_joined is not None:
                self._tell_first(feeder.someone)
            self._screen.show(list(self._lines.values()), self._outcome.told())
            await asyncio.sleep(LOOK_SECONDS if was_joining else FIRST_LOOKS_SECONDS)

    async def _look(self, feeder: Feeder, outputs: Outputs) -> None:
        """See what went in, what came out, and ask the workers."""
        self._outcome.orders = feeder.orders
        self._outcome.saw(await outputs.counts(), self._elapsed())
        replies = await asyncio.to_thread(self._asked)
        now = time.monotonic()
        for worker in self._workers:
            name = worker.role.name
            self._lines[name] = line(name, replies.get(worker.pid, {}), self._lines.get(name), now - self._shown_at)
        self._shown_at = now
        self._outcome.missing = sum(each.missing for each in self._lines.values())
        self._outcome.waiting = sum(each.waiting for each in self._lines.values())

    def _asked(self) -> dict[int, Mapping[str, Any]]:
        pids = {worker.pid for worker in self._workers}
        running = [worker for worker in local_workers(self._plan.directory) if worker.pid in pids]
        return {reply.worker.pid: reply.body for reply in ask_all(running, "/services")}

    async def _at_rest(self, feeder: Feeder, outputs: Outputs, stop: asyncio.Event) -> None:
        """Wait until the workers have read everything and nothing more comes out of it."""
        before: dict[str, int] | None = None
        while not stop.is_set():
            await self._look(feeder, outputs)
            has_read = all(each.lag == 0 for each in self._lines.values())
            if has_read and self._outcome.first_joined is not None and self._outcome.outputs == before:
                return
            before = self._outcome.outputs
            await asyncio.sleep(FIRST_LOOKS_SECONDS)

    def _tell_first(self, customer: str) -> None:
        command, table = self._plan.command, shop.customers.name
        self._screen.say(f"the first order was joined after {self._outcome.first_joined:.1f} s")
        self._screen.say(f"look a row up, from another terminal:  {command} get {table} {customer}")
        web = next((each.web for each in local_workers(self._plan.directory) if each.pid == self._workers[0].pid), None)
        if web:
            self._screen.say(f"or over HTTP:  curl {web}{row_path(table, customer)}")
        if self._plan.seconds is None:
            self._screen.say("Ctrl-C ends the demo; the next one goes on from where this one was")

    def _elapsed(self) -> float:
        return time.monotonic() - self._plan.began
