"""The steps in which a worker stops. None of them may delay it for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

log = logging.getLogger("larder")

STOP_SECONDS: Final = 2.5
"""How long each step of stopping may take: three of them take less than ten seconds."""


async def in_time(step: Coroutine[Any, Any, Any], otherwise: str) -> None:
    """Run a step of stopping, or give it up: other members notice after the session timeout."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await step
    except TimeoutError:
        log.warning("%s within %g s: stopping anyway", otherwise, STOP_SECONDS)
