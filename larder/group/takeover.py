"""Before a worker goes on with partitions that another one had, no transaction may be about to change their offsets.

Who committed a partition's offset last is in that offset's metadata, and who is in the group, the group tells.
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

LOOK_SECONDS = 0.05
"""Between two looks at offsets that are pending."""

SAID_LOOKS = 100
"""Between two lines that say that offsets are still pending."""


async def offsets_to_go_on_from(
    consumer: Consumer, assigned: Collection[TopicPartition], by: str, end: Callable[[str], Awaitable[None]]
) -> Offsets:
    """Offsets that stay as they are; `by` is this worker's transactional id, `end` ends what another one left open.

    Of a worker that is gone, everything is ended: it may also have left outputs that no reader can pass. What one
    that is still in the group has begun is waited for.
    """
    ended = {by}
    for look in count(1):
        offsets = await consumer.offsets(assigned)
        others = offsets.by(assigned) - ended
        gone = others - await consumer.members() if others else others
        for worker in sorted(gone):
            log.info("ending what worker %s may have left open", worker)
            await end(worker)
        ended |= gone
        if not (gone or offsets.pending):
            break
        if look % SAID_LOOKS == 0:
            log.warning(
                "waiting for a transaction to end, by its timeout at the latest, which has offsets of %s",
                ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(offsets.pending)),
            )
        await asyncio.sleep(LOOK_SECONDS)
    return offsets
