"""Somebody adds partitions to a topic by whose number the service places records.

Each key then belongs elsewhere. What depends on the topic has to be held back until there is a topic with the number of
before: records wait, and none lies in a partition that was added.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from tests.faults.field import Field
from tests.faults.history import Seen, Violation
from tests.support.topics import grow

NOTICED_SECONDS = 30.0
"""A worker looks every two seconds; the machine may be loaded."""

MAY_BE = frozenset({"unsettled", "lost", "waits", "silent", "total"})
"""What is not wrong while records are held back."""


async def grow_one(field: Field, topic: str, partitions: int) -> bool:
    """Double the partitions of `topic`; gives whether every worker then says that it holds inputs back."""
    name = field.name(topic).replace("{prefix}", field.prefix)
    await grow(field.rig.kafka, name, 2 * partitions)
    field.history.note(f"{name} has {2 * partitions} partitions")
    deadline = time.monotonic() + NOTICED_SECONDS
    while unaware := [worker for worker in field.running() if not _says(field, worker, name)]:
        if time.monotonic() > deadline:
            what = f"{unaware} did not notice that {name} has other partitions"
            field.history.violations.append(Violation("hangs", what))
            return False
        await asyncio.sleep(0.2)
    return True


def _says(field: Field, worker: str, topic: str) -> bool:
    status, body = field.workers[worker].get("/services") or (0, {})
    return status == 200 and any(topic in problem for problem in body["held_back"])


def beyond(field: Field, seen: Sequence[Seen], partitions: int) -> list[Violation]:
    """Records in partitions that were added."""
    return [
        Violation("misplaced", f"{each.topic}/{each.partition}/{each.offset} {each.key}")
        for each in seen
        if each.topic.startswith(field.prefix) and each.partition >= partitions
    ]
