"""The generator of a demo alone, for workers that run elsewhere: `python -m larder.demo.generator [EVENTS-PER-SECOND]`.

Waits for the configured broker, and stops on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from larder.config.settings import load_settings
from larder.demo.feeding import opened_feeder
from larder.demo.loading import project_demo
from larder.kafka.broker_probe import answers

if TYPE_CHECKING:
    from larder.config.connection import Connection
    from larder.demo.declared import Demo

STEP_SECONDS = 0.5
RATE = 200.0


async def generate(connection: Connection, demo: Demo, rate: float) -> None:
    """Publish `rate` events a second until the process is stopped."""
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    if await _available(connection, stop):
        async with opened_feeder(connection, demo) as feeder:
            await feeder.run(rate, stop)


async def _available(connection: Connection, stop: asyncio.Event) -> bool:
    """Wait for the broker. Return False if the process is stopped first."""
    while not stop.is_set():
        if await answers(connection):
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), STEP_SECONDS)
    return False


def main(arguments: list[str]) -> None:
    """Run the generator of the project in the working directory."""
    settings = load_settings().settings
    asyncio.run(generate(settings.connection, project_demo(settings.demo), float(arguments[0]) if arguments else RATE))


if __name__ == "__main__":
    main(sys.argv[1:])
