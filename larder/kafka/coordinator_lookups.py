"""Searches for a coordinator wait for a broker that has not yet joined its cluster again.

A broker that did not answer its controller for some seconds, because its machine or its disk stood still, is left out
of its own metadata until the controller hears from it again. aiokafka 0.14 asserts that a new client knows a broker:
the worker ended, though the broker was back a moment later. Patches aiokafka's `AIOKafkaClient.coordinator_lookup`.
`tests/larder/kafka/test_fenced_broker.py` fails when it changes.
"""

from __future__ import annotations

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError

_lookup = AIOKafkaClient.coordinator_lookup


def wait_for_brokers() -> None:
    """Make each client of this process raise an error that it retries while it knows no broker."""
    AIOKafkaClient.coordinator_lookup = _lookup_at_a_broker


async def _lookup_at_a_broker(client: AIOKafkaClient, coordinator_type: int, coordinator_key: str) -> int:
    if not client.cluster.brokers():
        message = "the cluster has no brokers yet"
        raise NodeNotReadyError(message)
    found: int = await _lookup(client, coordinator_type, coordinator_key)
    return found
