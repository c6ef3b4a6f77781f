"""Fixtures of all scenarios: workers that a test starts, and that end with the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from tests.support.workers import Worker, running

PATIENT = {"LARDER_SESSION_TIMEOUT_S": "10", "LARDER_HEARTBEAT_S": "0.3"}
"""Sessions long enough for a busy machine: unless a worker is killed, no partition moves."""

QUICK: Mapping[str, str] = {}
"""The default sessions of tests, short enough to notice a killed worker soon."""


class Start(Protocol):
    """Starts a worker of a service that `module` declares; `kafka` replaces the run's broker."""

    def __call__(
        self,
        module: str,
        service: str,
        name: str = "one",
        *,
        kafka: str = ...,
        sessions: Mapping[str, str] = PATIENT,
        arguments: tuple[str, ...] = (),
    ) -> Worker: ...


@pytest.fixture
def start(kafka: str, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as started:

        def start(
            module: str,
            service: str,
            name: str = "one",
            *,
            kafka: str = kafka,
            sessions: Mapping[str, str] = PATIENT,
            arguments: tuple[str, ...] = (),
        ) -> Worker:
            worker = Worker(kafka, tmp_path, module, service, name, sessions, arguments)
            started.enter_context(running(worker))
            return worker

        yield start


class Broker:
    """A broker that a test may start and stop repeatedly; its address and its data stay the same."""

    def __init__(self, directory: Path) -> None:
        self._broker = LocalBroker(directory, free_port())
        self.address = self._broker.bootstrap

    async def start(self) -> None:
        await asyncio.to_thread(self._broker.start)
        await asyncio.to_thread(self._broker.wait_ready)

    async def stop(self) -> None:
        await asyncio.to_thread(self._broker.stop)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """Yield the test's own broker, not yet started."""
    broker = Broker(tmp_path / "broker")
    yield broker
    await broker.stop()
