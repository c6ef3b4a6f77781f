"""The steps of a worker's end, none of which may keep it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

log = logging.getLogger("larder")

STOP_SECONDS: Final = 2.5
"""How long each step of stopping may take: three of them stay below ten seconds."""


async def in_time(step: Coroutine[Any, Any, Any], otherwise: str) -> None:
    """Do a step of stopping, or go on without it: others notice by the session timeout."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await step
    except TimeoutError:
        log.warning("%s within %g s: stopping all the same", otherwise, STOP_SECONDS)
