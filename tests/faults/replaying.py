"""An operator replays all dead letters while a worker dies. Each record ends as an output, waits, or is a dead letter
again: exactly one of these, once.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

from larder import Service
from larder.config.connection import Connection
from larder.dead_letters.choosing import Chosen
from larder.dead_letters.settling import settle
from tests.faults.field import Field

DIES = "two"

DIES_AFTER_SECONDS = 0.3
"""Long enough to read some of the replayed records, but not all."""

MAY_BE = frozenset({"reordered"})
"""Violations that are expected, since replayed records come after later records of their key."""


async def replay_all(field: Field) -> None:
    """Replay all dead letters, and start the worker that dies again."""
    replaying = asyncio.create_task(settle(Connection(field.rig.kafka), _declared(field), "replayed", Chosen()))
    await asyncio.sleep(DIES_AFTER_SECONDS)
    await field.kill(DIES)
    outcome = await replaying
    field.history.note(f"{len(outcome.settled)} letters were replayed, {len(outcome.left)} left")
    field.start(DIES)


def _declared(field: Field) -> Service:
    """Return the service of the workers, as their module declares it."""
    sys.path.append(str(field.directory))
    module = import_module(field.workers[DIES].module)
    sys.path.remove(str(field.directory))
    return next(each for each in vars(module).values() if isinstance(each, Service))
