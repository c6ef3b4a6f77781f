"""The steps in which a worker stops. None of them may delay it for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

log = logging.getLogger("larder")

STOP_SECONDS: Final = 2.5
"""How long each step of stopping may take: three of them take less than ten seconds."""


async def until_first(*running: Coroutine[Any, Any, None] | None) -> None:
    """Run coroutines until the first one ends, and cancel the others; raise its error. None counts as never ending."""
    tasks = [asyncio.create_task(each) for each in running if each is not None]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for each in ended:
        each.result()


async def in_time(step: Coroutine[Any, Any, Any], otherwise: str) -> None:
    """Run a step of stopping, or give it up: other members notice after the session timeout."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await step
    except TimeoutError:
        log.warning("%s within %g s: stopping anyway", otherwise, STOP_SECONDS)
