"""What many seeds share: a broker that they may kill, and a proxy for each worker.

The suite's own clients connect to the broker directly. Workers always connect through their proxies, since the broker
advertises a listener for each.
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
    # Forced compaction: segments are rolled by time, and the cleaner checks them often.
    "log.cleaner.backoff.ms": "100",
    "log.cleaner.threads": "1",
}


class Rig:
    """A broker and its proxies, by the names of workers. Faults of the broker take turns."""

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
        """The address for the suite itself."""
        return self.broker.bootstrap

    def address(self, worker: str) -> str:
        """Return the address for a worker."""
        return f"127.0.0.1:{self.proxies[worker].port}"

    async def start_broker(self) -> None:
        """Start the broker if it does not run, and wait until it answers."""
        await asyncio.to_thread(self.broker.start)
        await asyncio.to_thread(self.broker.wait_ready)

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)

    def heal(self) -> None:
        """Open all connections again."""
        for proxy in self.proxies.values():
            proxy.set("open")


@asynccontextmanager
async def rigged(directory: Path) -> AsyncIterator[Rig]:
    """Yield a running rig, and end all of it after the block."""
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
