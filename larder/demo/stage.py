"""The surroundings of a demo: its broker, its directory and the environment of its workers.

A demo uses the configured broker, or else the local one. It stops the local broker at the end if it started it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from larder.client.brokers import existing_broker, local_broker, require_answer
from larder.client.local_workers import local_workers
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.declaring.problems import Problem
from larder.local_broker.ports import holder, is_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from larder.demo.declared import Demo
    from larder.local_broker import LocalBroker

# Seconds. A stock broker refuses less than 6; the local one is configured for quick failover.
SESSION_SECONDS = "1.5"


class Stage(NamedTuple):
    """The data directory, and the start of the command by time.monotonic()."""

    directory: Path
    began: float

    @contextlib.contextmanager
    def broker(self, say: Callable[[str], None]) -> Iterator[tuple[Connection, LocalBroker | None]]:
        """Yield the connection, and the local broker if the demo uses it. The local broker may not answer yet."""
        if existing := existing_broker():
            require_answer(existing)
            yield existing, None
            return
        broker = local_broker()
        if not broker.running and not is_free(broker.port):
            say(f"port {broker.port} is taken by {holder(broker.port)}: using another one")
            broker.port = 0
        # Applies before and after the event loop runs: any signal that ends the demo must also end the broker.
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.default_int_handler)
        found = broker.running
        if not found:
            say(f"starting a Kafka broker; its files are in {broker.directory}")
        try:
            broker.start()
            yield Connection(broker.bootstrap), broker
        finally:
            # This also stops a broker that is still starting.
            if not found and broker.stop():
                say("the broker is stopped")

    def environment(self, connection: Connection, *, quick: bool) -> dict[str, str]:
        """Return the settings of the workers. With `quick`, the group notices a lost worker early."""
        settings = {"KAFKA": connection.bootstrap, "LARDER_DIRECTORY": str(self.directory)}
        if quick and "LARDER_SESSION_TIMEOUT_S" not in os.environ:
            settings |= {"LARDER_SESSION_TIMEOUT_S": SESSION_SECONDS, "LARDER_HEARTBEAT_S": "0"}
        return settings


def refuse_second(directory: Path, demo: Demo) -> None:
    """Raise `MistakeError` if workers with names of the demo already use `directory`."""
    counts = {**dict.fromkeys(demo.services, 1), **demo.workers}
    wanted = {f"{service}-{number}" for service, count in counts.items() for number in range(1, count + 1)}
    for worker in local_workers(directory):
        if worker.service in counts and worker.worker in wanted:
            found = f"{worker.worker}, process {worker.pid}, using {directory}"
            do = "stop that demo or worker first"
            raise MistakeError(Problem("larder demo", "requires workers of its own", found, do))


def forget(directory: Path, services: Iterable[str]) -> None:
    """Remove the topics and tables of earlier demos. Raise `MistakeError` if the broker is not the local one."""
    if existing := existing_broker():
        found = f"{existing} (setting kafka), whose topics Larder must not remove"
        raise MistakeError(Problem("larder demo --fresh", "requires the local broker", found, "unset KAFKA"))
    local_broker().stop()
    for each in (directory / "broker", *(directory / "tables" / service for service in services)):
        shutil.rmtree(each, ignore_errors=True)


def own_name() -> str:
    """Return the command line that started this command, for people to copy."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m larder"
    return called.name if shutil.which(called.name) == str(called) else str(called)
