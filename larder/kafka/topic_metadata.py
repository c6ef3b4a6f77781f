"""Ids of topics: a topic that was deleted and created again has another id.

aiokafka 0.14 speaks Metadata up to version 5; ids came with version 10. The request and its answer are
described here field by field after Kafka's `MetadataRequest.json` and `MetadataResponse.json` (version 10,
flexible encoding). Uses aiokafka's protocol classes.
`tests/larder/kafka/test_topic_metadata.py` fails when they change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from aiokafka.structs import TopicPartition


class Described(NamedTuple):
    """A topic as the broker describes it."""

    topic_id: str
    partitions: int


class Copies(NamedTuple):
    """The fewest replicas of any partition, and the partitions without a leader."""

    replicas: int
    leaderless: tuple[int, ...]


class TopicId(AbstractType[UUID]):
    """The id of a topic on the wire: sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)
_PARTITION = (
    ("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)), ("isr", CompactArray(Int32)),
    ("offline_replicas", CompactArray(Int32)), _TAGS,
)  # fmt: skip
_TOPIC = (
    ("error_code", Int16), ("name", _TEXT), ("topic_id", TopicId), ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)), ("operations", Int32), _TAGS,
)  # fmt: skip
_BROKER = (("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)


class _MetadataResponseV10(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("brokers", CompactArray(*_BROKER)), ("cluster_id", _TEXT),
        ("controller_id", Int32), ("topics", CompactArray(*_TOPIC)), ("operations", Int32), _TAGS,
    )  # fmt: skip


class _MetadataRequestV10(RequestStruct):
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponseV10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", TopicId), ("name", _TEXT), _TAGS)),
        ("allow_creation", Boolean), ("cluster_operations", Boolean),
        ("topic_operations", Boolean), _TAGS,
    )  # fmt: skip


class _DescribeTopics(Request[_MetadataRequestV10]):
    API_KEY = 3

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_MetadataRequestV10]) -> _MetadataRequestV10:
        topics: list[tuple[UUID, str, dict[int, bytes]]] = [(UUID(int=0), name, {}) for name in self._names]
        return request_struct_class(topics, False, False, False, {})  # noqa: FBT003 - in the schema's order


async def describe(client: AIOKafkaClient, names: Collection[str]) -> Mapping[str, Described]:
    """Return the ids and partition counts of those topics of `names` that exist; raises KafkaError."""
    return {
        name: Described(str(topic_id), len(partitions))
        for name, (topic_id, partitions) in (await _topics(client, names)).items()
    }


async def copies(client: AIOKafkaClient, names: Collection[str]) -> Mapping[str, Copies]:
    """Return the replication of those topics of `names` that exist; raises KafkaError."""
    return {
        name: Copies(
            min(len(replicas) for _, _, _, _, replicas, *_ in partitions),
            tuple(sorted(partition for _, partition, leader, *_ in partitions if leader < 0)),
        )
        for name, (_, partitions) in (await _topics(client, names)).items()
    }


async def leaders(client: AIOKafkaClient, names: Collection[str]) -> Mapping[TopicPartition, int]:
    """Return the leader of each partition of those topics of `names` that exist; raises KafkaError."""
    return {
        TopicPartition(name, partition): leader
        for name, (_, partitions) in (await _topics(client, names)).items()
        for _, partition, leader, *_ in partitions
        if leader >= 0
    }


async def _topics(client: AIOKafkaClient, names: Collection[str]) -> Mapping[str, tuple[UUID, Sequence[Any]]]:
    answer: Any = await client.send(client.get_random_node(), _DescribeTopics(names))
    found = {}
    for error_code, name, topic_id, _, partitions, *_rest in answer.topics:
        error = for_code(error_code)
        if error is NoError:
            found[name] = (topic_id, partitions)
        elif error is not UnknownTopicOrPartitionError:
            raise error(name)
    return found
