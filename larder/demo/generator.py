"""The shop's generator alone, for workers that run elsewhere: `python -m larder.demo.generator [ORDERS-A-SECOND]`.

Waits for the broker that the settings name, and ends on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from larder.config.connection import Connection
from larder.config.settings import load_settings
from larder.demo.feeding import Feeder, producing
from larder.demo.ownership import created_topics, read_back
from larder.kafka.admin import Cluster
from larder.kafka.broker_probe import answers

STEP_SECONDS = 0.5
RATE = 200.0


async def generate(connection: Connection, rate: float) -> None:
    """Publish `rate` orders a second until the process is told to stop."""
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    if not await _comes(connection, stop):
        return
    async with Cluster(connection) as cluster:
        partitions = await created_topics(cluster)
    before = await read_back(connection, partitions)
    async with producing(connection) as producer:
        feeder = Feeder(producer, partitions, before)
        await feeder.open()
        await feeder.run(rate, stop)


async def _comes(connection: Connection, stop: asyncio.Event) -> bool:
    """Wait for the broker; False when the process is told to stop first."""
    while not stop.is_set():
        if await answers(connection):
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), STEP_SECONDS)
    return False


if __name__ == "__main__":
    asyncio.run(generate(load_settings().settings.connection, float(sys.argv[1]) if len(sys.argv) > 1 else RATE))
