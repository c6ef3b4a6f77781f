"""A demo from start to end: starts workers and generator, shows their progress, and stops them in reverse order.

If the generator, a worker or the broker dies, the demo ends with that error.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.errors import KafkaError

from larder.client.local_workers import ask_all, local_workers
from larder.demo.beside import running_beside
from larder.demo.declared import noun
from larder.demo.feeding import Feeder, opened_feeder
from larder.demo.lines import WorkerLine, line
from larder.demo.outcome import DemoOutcome, Outputs, counted_outputs
from larder.demo.workers import DemoProcess, roles, running_processes
from larder.kafka.conversations import quiet_client, unavailable
from larder.queries.paths import row_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from larder.config.connection import Connection
    from larder.demo.declared import Demo
    from larder.demo.screen import Screen
    from larder.local_broker import LocalBroker

# Seconds between two updates: short while people wait for the first result, then slow enough to read.
FIRST_UPDATE_SECONDS = 0.2
UPDATE_SECONDS = 1.0
# Seconds for the workers to join the remaining records after the generator has ended.
REST_SECONDS = 10.0


class DemoPlan(NamedTuple):
    """The parameters of a run. `seconds` None: run until stopped. `began`: the start by time.monotonic()."""

    demo: Demo
    connection: Connection
    broker: LocalBroker | None
    directory: Path
    environment: Mapping[str, str]
    rate: float
    seconds: float | None
    began: float
    command: str


async def run(plan: DemoPlan, screen: Screen, stop: asyncio.Event) -> DemoOutcome:
    """Run until `stop` is set or the time is over. Raise `AppError` with the cause if anything dies."""
    quiet_client()
    logs = plan.directory / "demo"
    await asyncio.to_thread(logs.mkdir, parents=True, exist_ok=True)
    try:
        # Start the workers before the broker is ready: both take equally long, and workers wait for the broker.
        async with running_processes(roles(plan.demo), logs, plan.environment) as workers:
            if plan.broker:
                await asyncio.to_thread(plan.broker.wait_ready)
            outcome = await _Performance(plan, screen, workers).run(stop)
            screen.say("stopping the workers")
    except BaseExceptionGroup as group:
        raise _first(group) from group
    except (KafkaError, TimeoutError) as error:
        raise unavailable(plan.connection, str(error) or type(error).__name__) from error
    return outcome


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first failure, which caused the others."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


class _Performance:
    """The part of a demo in which workers and broker run."""

    def __init__(self, plan: DemoPlan, screen: Screen, workers: list[DemoProcess]) -> None:
        self._plan = plan
        self._screen = screen
        self._workers = workers
        self._outcome = DemoOutcome(plan.demo)
        self._lines: dict[str, WorkerLine] = {}
        self._shown_at = plan.began
        self._flows = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> DemoOutcome:
        connection, demo = self._plan.connection, self._plan.demo
        async with counted_outputs(connection, [topic.name for topic in demo.outputs.values()]) as outputs:
            self._screen.say(f"Kafka answers at {connection} after {self._elapsed():.1f} s")
            async with opened_feeder(connection, demo) as feeder:
                *others, last = map(noun, demo.topics)
                what = f"{', '.join(others)} and {last}" if others else last
                self._screen.say(f"{what} flow after {self._elapsed():.1f} s")
                await self._run_monitored(feeder, outputs, stop)
        return self._outcome

    async def _run_monitored(self, feeder: Feeder, outputs: Outputs, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            monitors = (
                self._show_progress(feeder, outputs),
                self._broker_ended(),
                self._run_beside(),
                *(each.ended() for each in self._workers),
            )
            monitoring = [tasks.create_task(each) for each in monitors]
            ending = asyncio.Event()
            feeding = tasks.create_task(feeder.run(self._plan.rate, ending))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._plan.seconds):
                    await stop.wait()
            ending.set()
            await feeding
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REST_SECONDS):
                    await self._drained(feeder, outputs, stop)
            self._outcome.interrupted = stop.is_set()
            for each in monitoring:
                each.cancel()

    async def _broker_ended(self) -> None:
        broker = self._plan.broker
        while broker is not None:
            if not broker.running:
                raise broker.death()
            await asyncio.sleep(UPDATE_SECONDS)

    async def _run_beside(self) -> None:
        """Run what runs beside the workers, from the first result on: until then, people wait for that."""
        beside = self._plan.demo.beside
        if beside is None:
            return
        await self._flows.wait()
        logs = self._plan.directory / "demo"
        async with (
            running_beside(beside, logs, self._plan.environment, self._screen.say) as processes,
            asyncio.TaskGroup() as tasks,
        ):
            for each in processes:
                tasks.create_task(each.ended())

    async def _show_progress(self, feeder: Feeder, outputs: Outputs) -> None:
        while True:
            flowed = self._outcome.first_out is not None
            await self._update(feeder, outputs)
            if not flowed and self._outcome.first_out is not None:
                self._announce_first()
            self._screen.show(list(self._lines.values()), self._outcome.in_words())
            await asyncio.sleep(UPDATE_SECONDS if flowed else FIRST_UPDATE_SECONDS)

    async def _update(self, feeder: Feeder, outputs: Outputs) -> None:
        """Count the published and the output records, and ask the workers for their status."""
        self._outcome.published = feeder.published[self._plan.demo.events.name]
        self._outcome.observe(await outputs.counts(), self._elapsed())
        replies = await asyncio.to_thread(self._statuses)
        now = time.monotonic()
        for worker in self._workers:
            name = worker.role.name
            self._lines[name] = line(name, replies.get(worker.pid, {}), self._lines.get(name), now - self._shown_at)
        self._shown_at = now
        self._outcome.missing = sum(each.missing for each in self._lines.values())
        self._outcome.waiting = sum(each.waiting for each in self._lines.values())

    def _statuses(self) -> dict[int, Mapping[str, Any]]:
        pids = {worker.pid for worker in self._workers}
        running = [worker for worker in local_workers(self._plan.directory) if worker.pid in pids]
        return {reply.worker.pid: reply.body for reply in ask_all(running, "/services")}

    async def _drained(self, feeder: Feeder, outputs: Outputs, stop: asyncio.Event) -> None:
        """Wait until the workers have read everything and no more results appear."""
        before: Mapping[str, int] | None = None
        while not stop.is_set():
            await self._update(feeder, outputs)
            has_read = all(each.lag == 0 for each in self._lines.values())
            if has_read and self._outcome.first_out is not None and self._outcome.outputs == before:
                return
            before = self._outcome.outputs
            await asyncio.sleep(FIRST_UPDATE_SECONDS)

    def _announce_first(self) -> None:
        self._flows.set()
        outcome, (table, key) = self._outcome, self._plan.demo.look_up
        self._screen.say(f"the first {self._plan.demo.noun} are {outcome.word} after {outcome.first_out:.1f} s")
        self._screen.say(f"to look up a row, run in another terminal:  {self._plan.command} get {table.name} {key}")
        web = next((each.web for each in local_workers(self._plan.directory) if each.pid == self._workers[0].pid), None)
        if web:
            self._screen.say(f"or over HTTP:  curl {web}{row_path(table.name, key)}")
        if self._plan.seconds is None:
            self._screen.say("Ctrl-C ends the demo; the next one continues from there")

    def _elapsed(self) -> float:
        return time.monotonic() - self._plan.began
