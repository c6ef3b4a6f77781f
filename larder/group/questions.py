"""The requests of a group member for topics, offsets and members, over its consumer's connections.

Each request runs in the consumer's own loop. The module uses aiokafka's client and coordinator behind the consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.structs import TopicPartition

from larder.group.peers import STABLE, GroupMember, Peer, read_peers
from larder.group.start_offsets import Offsets
from larder.kafka.committed import Committed
from larder.kafka.group_description import describe_group
from larder.kafka.newer_members import newer_members
from larder.kafka.stable_offsets import stable_offsets
from larder.kafka.static_membership import StaticConsumer
from larder.kafka.topic_metadata import Described, describe


async def topics(consumer: StaticConsumer, names: Collection[str]) -> Mapping[str, Described]:
    """Describe the topics that exist, by name."""
    return await describe(consumer._client, names)


async def offsets(consumer: StaticConsumer, tps: Collection[TopicPartition]) -> Offsets:
    """Ask for the committed offsets, and for the starts and ends of the logs."""
    cluster = consumer._client.cluster
    everywhere = {
        TopicPartition(topic, partition)
        for topic in {tp.topic for tp in tps}
        for partition in cluster.partitions_for_topic(topic) or ()
    }
    # Read ends after offsets: another worker may commit newer records in between.
    stable = await stable_offsets(consumer, everywhere.union(tps))
    begins, ends = await asyncio.gather(consumer.beginning_offsets(list(tps)), consumer.end_offsets(list(tps)))
    committed = {tp: Committed.read(found) for tp, found in stable.committed.items()}
    return Offsets(committed, begins, ends, frozenset(stable.pending).intersection(tps))


async def members(consumer: StaticConsumer) -> set[str]:
    """Return the members of the group by client id."""
    return {client_id for _, client_id, *_ in (await _described(consumer))[5]}


async def peers(consumer: StaticConsumer, service: str) -> list[Peer] | None:
    """Return the members of the group and their partitions; None during a rebalance."""
    described = await _described(consumer)
    if described[2] != STABLE:
        return None
    listed = (GroupMember(client_id, metadata, given) for _, client_id, _, metadata, given, *_ in described[5])
    return read_peers(service, listed)


async def foreign_members(consumer: StaticConsumer) -> list[str]:
    """Return the members of a group that rejects this worker, by client id and host."""
    older = sorted(f"{client_id} at {host}" for _, client_id, host, *_ in (await _described(consumer))[5])
    return older + await members_of_newer_protocol(consumer)


async def members_of_newer_protocol(consumer: StaticConsumer) -> list[str]:
    """Return the members that joined by the newer protocol, which keep this worker out."""
    coordinator = consumer._coordinator
    await coordinator.ensure_coordinator_known()
    return await newer_members(coordinator._send_req, coordinator.group_id)


async def commit(consumer: StaticConsumer, committed: Mapping[TopicPartition, Committed]) -> None:
    """Commit offsets as a member of the group."""
    await consumer.commit({TopicPartition(*tp): each.written() for tp, each in committed.items()})


async def _described(consumer: StaticConsumer) -> Any:
    """Return the error, name, state, kind, protocol and members of the group, as the broker reports them."""
    coordinator = consumer._coordinator
    await coordinator.ensure_coordinator_known()
    return await describe_group(coordinator._send_req, coordinator.group_id)
