"""Somebody replays all dead letters while a worker dies: each is an output then, waits, or is parked again, once."""

from __future__ import annotations

import asyncio

from larder.config.connection import Connection
from larder.dead_letters.choosing import Chosen
from larder.dead_letters.settling import settle
from tests.faults.field import Field

DIES = "two"

DIES_AFTER_SECONDS = 0.3
"""Enough to read some of what is replayed, and not all."""

MAY_BE = frozenset({"reordered"})
"""What is replayed comes after later records of its key."""


async def replay_all(field: Field) -> None:
    """Replay what is parked; the worker that dies is started again."""
    replaying = asyncio.create_task(settle(Connection(field.rig.kafka), field.prefix, "replayed", Chosen()))
    await asyncio.sleep(DIES_AFTER_SECONDS)
    await field.kill(DIES)
    outcome = await replaying
    field.history.note(f"{len(outcome.settled)} letters were replayed, {len(outcome.left)} left")
    field.start(DIES)
