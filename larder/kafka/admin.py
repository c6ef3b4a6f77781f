"""Inspects topics and groups, and creates topics. Knows the admin protocol, not what the topics are for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    InvalidReplicationFactorError,
    NodeNotReadyError,
    NoError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.declaring.checks.declarations import TopicFacts
from larder.kafka.clients import REQUEST_TIMEOUT_MS, new_admin
from larder.kafka.committed import Committed
from larder.kafka.foreign_members import GroupMembers, is_worker_of
from larder.kafka.group_description import describe_group
from larder.kafka.newer_members import newer_members
from larder.kafka.open_transactions import OpenTransaction, open_transactions
from larder.kafka.retrying import RETRY_SECONDS, within
from larder.kafka.stable_offsets import all_offsets
from larder.kafka.topic_metadata import Copies, copies, describe
from larder.kafka.topic_refusals import TOO_NEW, TopicRefusal, is_too_new, refusal, refused

if TYPE_CHECKING:
    from types import TracebackType

    from larder.declaring.topology import TopicUse

T = TypeVar("T")

Send = Callable[[Any], Awaitable[Any]]
"""Sends a request to one broker."""

REPLICAS = 3
"""Replicas of a new topic, if there are that many brokers: one may fail while another one is being repaired."""

_REBALANCING = frozenset({"PreparingRebalance", "CompletingRebalance"})
"""The states of a group whose members are about to get partitions."""

_CONFIG = {"cleanup.policy": "delete", "max.message.bytes": "1048588", "delete.retention.ms": "86400000"}
"""The settings of a topic that matter here, with Kafka's defaults."""


class Cluster:
    """An admin client for topics and groups: `async with Cluster(connection) as cluster`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._admin = new_admin(connection, request_timeout_ms=REQUEST_TIMEOUT_MS)

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._admin.close()

    async def names(self) -> Collection[str]:
        """Return the names of all topics."""
        found: list[str] = await self._admin.list_topics()
        return found

    async def facts(self, names: Collection[str]) -> Mapping[str, TopicFacts]:
        """Return the facts about those topics of `names` that exist."""
        described = await describe(self._admin._client, names)
        config = await self._config(described)
        return {
            name: TopicFacts(
                partitions=topic.partitions,
                cleanup_policy=config[name]["cleanup.policy"],
                max_message_bytes=int(config[name]["max.message.bytes"]),
                topic_id=topic.topic_id,
                delete_retention_ms=int(config[name]["delete.retention.ms"]),
            )
            for name, topic in described.items()
        }

    async def _config(self, names: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_CONFIG)) for name in names]
        found = {}
        for answer in await self._admin.describe_configs(resources):
            for _, _, _, name, entries in answer.resources:
                found[name] = _CONFIG | {entry[0]: entry[1] for entry in entries}
        return found

    async def topic_settings(self, names: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """Return all settings of existing topics by Kafka's names, including defaults."""
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        return await self._settings(resources) if resources else {}

    async def broker_settings(self) -> Mapping[str, str]:
        """Return all settings of one broker, without its secrets."""
        node = min(broker.nodeId for broker in self._admin._client.cluster.brokers())
        return (await self._settings([ConfigResource(ConfigResourceType.BROKER, str(node))]))[str(node)]

    async def _settings(self, resources: list[ConfigResource]) -> Mapping[str, Mapping[str, str]]:
        return {
            name: {entry[0]: entry[1] for entry in entries if entry[1] is not None}
            for answer in await self._admin.describe_configs(resources)
            for _, _, _, name, entries in answer.resources
        }

    def brokers_up(self) -> int:
        """Return how many brokers are up."""
        return len(self._admin._client.cluster.brokers())

    async def copies(self, names: Collection[str]) -> Mapping[str, Copies]:
        """Return the replication of those topics of `names` that exist."""
        return await copies(self._admin._client, names)

    async def open_transactions(self, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, OpenTransaction]:
        """Return the first open transaction of each partition that has one, and its producer."""
        return await open_transactions(self._admin._client, tps)

    async def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        """Return the committed offsets of a consumer group, with or without members."""
        found = await self._of_group(group, lambda send: all_offsets(send, group))
        return {tp: Committed.read(offset) for tp, offset in found.items()}

    async def members(self, group: str) -> list[str]:
        """Return the client ids of a group's members."""
        return [client_id for client_id, _ in await self._members(group)]

    async def service_group(self, service: str) -> GroupMembers:
        """Return the members of a service's group, of both protocols."""
        older = await self._members(service)
        newer = await self._of_group(service, lambda send: newer_members(send, service))
        workers = [client_id for client_id, _ in older if is_worker_of(service, client_id)]
        foreign = [f"{client_id} at {host}" for client_id, host in older if not is_worker_of(service, client_id)]
        return GroupMembers(tuple(workers), (*foreign, *newer))

    async def reports(self, group: str) -> list[tuple[str, bytes, bytes]] | None:
        """Return the client id, the metadata and the assignment of each member that speaks the older protocol.

        Return None during a rebalance: the broker then leaves out what members report.
        """
        state, members = await self._described(group)
        if state in _REBALANCING:
            return None
        return [(client_id, metadata, given) for _, client_id, _, metadata, given, *_ in members]

    async def _members(self, group: str) -> list[tuple[str, str]]:
        """Return the client ids and hosts of the members that speak the older protocol, sorted."""
        _, members = await self._described(group)
        return sorted((client_id, host) for _, client_id, host, *_ in members)

    async def _described(self, group: str) -> tuple[str, list[Any]]:
        """Return the state of a group, and its members that speak the older protocol."""
        _, _, state, _, _, members, *_ = await self._of_group(group, lambda send: describe_group(send, group))
        return state, list(members)

    async def _of_group(self, group: str, ask: Callable[[Send], Awaitable[T]]) -> T:
        """Ask the coordinator of a group. A new broker has none at first; one that has just started loads offsets."""
        async with within(REQUEST_TIMEOUT_MS / 1000, f"the coordinator of group {group}"):
            while True:
                try:
                    return await ask(partial(self._admin._client.send, await self._admin.find_coordinator(group)))
                except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                    await asyncio.sleep(RETRY_SECONDS)

    async def delete(self, topics: Collection[str]) -> None:
        """Delete topics; raise KafkaError."""
        if topics:
            answer = await self._admin.delete_topics(list(topics))
            for name, code, *_ in answer.topic_error_codes:
                if (error := for_code(code)) is not NoError:
                    raise error(name)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Delete the records before these offsets."""
        await self._admin.delete_records({tp: RecordsToDelete(offset) for tp, offset in before.items()})

    async def _controller(self) -> None:
        """Raise NodeNotReadyError if a broker has just started and knows no controller: aiokafka would fail."""
        client = self._admin._client
        if client.cluster.controller is None:
            await client.force_metadata_update()
        if client.cluster.controller is None:
            message = "the cluster has no controller yet"
            raise NodeNotReadyError(message)

    async def create(self, topics: Collection[TopicUse]) -> None:
        """Create topics with their declared settings, except those that already exist.

        Raises KafkaError. If the broker refuses topics, raises DeclarationError or TopicsUnavailableError.
        """
        found = await self._refusals(topics, validate_only=False)
        if any(each.error is InvalidReplicationFactorError for each in found):
            # Asked for as many replicas as there were brokers: one of them has gone away meanwhile.
            raise NodeNotReadyError(str(refused(found)))
        if found:
            raise refused(found)

    async def refusals(self, topics: Collection[TopicUse]) -> list[TopicRefusal]:
        """Return why the broker would refuse to create these topics, without creating any."""
        return await self._refusals(topics, validate_only=True) if topics else []

    async def _refusals(
        self, topics: Collection[TopicUse], *, validate_only: bool, older: bool = False
    ) -> list[TopicRefusal]:
        """Return the broker's refusals; with `older`, leave out settings that older brokers do not know."""
        await self._controller()
        copies = min(REPLICAS, len(self._admin._client.cluster.brokers()))
        wanted = {topic.name: topic for topic in topics}
        answer = await self._admin.create_topics(
            [
                NewTopic(topic.name, topic.partitions, copies, topic_configs=_config(topic, older=older))
                for topic in wanted.values()
            ],
            validate_only=validate_only,
        )
        found = []
        for name, code, *details in answer.topic_errors:
            error = for_code(code)
            if error.retriable:
                message = f"{name}: {details[0] if details else 'no details'}"
                raise error(message)
            if code and error is not TopicAlreadyExistsError:
                found.append(refusal(wanted[name], copies, error, details[0] if details else None))
        if older or not (again := [wanted[each.topic] for each in found if is_too_new(each)]):
            return found
        others = [each for each in found if not is_too_new(each)]
        return others + await self._refusals(again, validate_only=validate_only, older=True)


def _config(topic: TopicUse, *, older: bool) -> dict[str, str]:
    return {name: value for name, value in topic.config.items() if not (older and name in TOO_NEW)}
