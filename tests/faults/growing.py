"""An operator adds partitions to a topic whose partition count determines where the service places records.

Keys then belong to other partitions. Everything that depends on the topic has to be held back until the topic has its
previous count again: records wait, and none is written to an added partition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from tests.faults.field import Field
from tests.faults.history import Seen, Violation
from tests.support.topics import grow

NOTICED_SECONDS = 30.0
"""Workers check every two seconds. This allows for a loaded machine."""

MAY_BE = frozenset({"unsettled", "lost", "waits", "silent", "total"})
"""Violations that are expected while records are held back."""


async def grow_one(field: Field, topic: str, partitions: int) -> bool:
    """Double the partitions of `topic`. Return whether every worker then reports that it holds inputs back."""
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
    """Yield a violation for each record in an added partition."""
    return [
        Violation("misplaced", f"{each.topic}/{each.partition}/{each.offset} {each.key}")
        for each in seen
        if each.topic.startswith(field.prefix) and each.partition >= partitions
    ]
