"""What many seeds share: a broker that they may kill, and a proxy for each worker, at whose port it is told to connect.

Clients of the suite itself go to the broker directly; nothing of a worker does, as each has a listener of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from larder.local_broker.properties import Listener
from tests.faults.plan import WORKERS
from tests.support.proxy import Proxy

NAMES = (*WORKERS, "four")

PROPERTIES = {
    # Forced compaction: a segment is rolled by time, and looked at soon.
    "log.cleaner.backoff.ms": "100",
    "log.cleaner.threads": "1",
}


class Rig:
    """A broker and its proxies, by the names of workers. Who does something to the broker takes its turn."""

    def __init__(self, directory: Path) -> None:
        ports: list[int] = []
        while len(ports) < 2 * len(NAMES) + 1:
            if (port := free_port()) not in ports:
                ports.append(port)
        first, *others = ports
        self.proxies = {name: Proxy(others.pop(), others.pop()) for name in NAMES}
        listeners = [Listener(name.upper(), proxy.target, proxy.port) for name, proxy in self.proxies.items()]
        self.broker_turn = asyncio.Lock()
        self.broker = LocalBroker(directory, first, listeners=listeners, properties=PROPERTIES)

    @property
    def kafka(self) -> str:
        """Where the suite itself connects."""
        return self.broker.bootstrap

    def address(self, worker: str) -> str:
        """Where a worker connects."""
        return f"127.0.0.1:{self.proxies[worker].port}"

    async def start_broker(self) -> None:
        """Start it if it does not run, and wait until it answers."""
        await asyncio.to_thread(self.broker.start)
        await asyncio.to_thread(self.broker.wait_ready)

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)

    def heal(self) -> None:
        """All ways are open again."""
        for proxy in self.proxies.values():
            proxy.set("open")


@asynccontextmanager
async def rigged(directory: Path) -> AsyncIterator[Rig]:
    """A rig that runs; nothing of it is left at the end."""
    rig = Rig(directory)
    try:
        await rig.start_broker()
        for proxy in rig.proxies.values():
            await proxy.start()
        yield rig
    finally:
        for proxy in rig.proxies.values():
            await proxy.stop()
        await asyncio.to_thread(rig.broker.stop)
