"""Takes over partitions from other workers: no open transaction may still change their offsets.

The metadata of a committed offset names the worker that committed it. The group lists the workers that are alive.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from itertools import count

from aiokafka.structs import TopicPartition

from larder.group.faust_consumer import Consumer
from larder.group.start_offsets import Offsets

log = logging.getLogger("larder")

CHECK_SECONDS = 0.05
"""The interval between two checks of pending offsets."""

CHECKS_PER_LOG = 100
"""How many checks pass between two log lines about pending offsets."""


async def offsets_to_go_on_from(
    consumer: Consumer, assigned: Collection[TopicPartition], by: str, end: Callable[[str], Awaitable[None]]
) -> Offsets:
    """Return offsets that no transaction can change.

    `by` is this worker's transactional id, and `end` ends the open transaction of another one. The transactions of
    workers that are gone are ended, because their outputs may block readers as well. Transactions of workers in the
    group get time to end.
    """
    ended = {by}
    for check in count(1):
        offsets = await consumer.offsets(assigned)
        others = offsets.by(assigned) - ended
        gone = others - await consumer.members() if others else others
        for worker in sorted(gone):
            log.info("ending any transaction that worker %s left open", worker)
            await end(worker)
        ended |= gone
        if not (gone or offsets.pending):
            break
        if check % CHECKS_PER_LOG == 0:
            log.warning(
                "waiting for an open transaction with offsets of %s, which ends by its timeout at the latest",
                ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(offsets.pending)),
            )
        await asyncio.sleep(CHECK_SECONDS)
    return offsets
