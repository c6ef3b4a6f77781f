"""Republishes all dead letters of a service, and kills itself half-way: python -m ... KAFKA SERVICE STEP.

The steps: replayed (it has sent the records), settled (and also their settlements), committed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from larder import Service
from larder.config.connection import Connection
from larder.dead_letters import rounds
from larder.dead_letters.choosing import Chosen
from larder.dead_letters.settling import settle
from larder.kafka.transactions import TransactionalProducer

kafka, service, step = sys.argv[1:]
send, in_one = rounds.send, TransactionalProducer.in_one
sent = 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def dying_send(*arguments: Any) -> list[int]:
    global sent  # noqa: PLW0603 - a program of one run
    offsets = await send(*arguments)
    sent += 1
    if sent == {"replayed": 1, "settled": 2}.get(step):
        die()
    return offsets


async def dying_in_one(*arguments: Any) -> None:
    await in_one(*arguments)
    if step == "committed":
        die()


rounds.send = dying_send
TransactionalProducer.in_one = dying_in_one  # type: ignore[method-assign]
asyncio.run(settle(Connection(kafka), Service(service), "republished", Chosen()))
