"""Does a broker answer? Asked with a real Metadata request, since an open port alone promises nothing."""

from __future__ import annotations

import asyncio

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

# Seconds for one try; the caller tries again until its own deadline.
TRY_SECONDS = 2.0


async def answers(bootstrap: str) -> bool:
    """Say whether the first address of `bootstrap` ("host:port,...") serves, and knows at least one broker."""
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    try:
        async with asyncio.timeout(TRY_SECONDS):
            connection = await create_conn(host, int(port), client_id="larder-probe")
            try:
                metadata = await connection.send(MetadataRequest([]))
            finally:
                connection.close()
    except (OSError, KafkaError, TimeoutError):
        return False
    return bool(metadata.brokers)


def answers_now(bootstrap: str) -> bool:
    """Ask from code that has no event loop."""
    return asyncio.run(answers(bootstrap))
