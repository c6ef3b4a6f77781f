"""Committed offsets that no open transaction is about to change.

A worker that died during a commit leaves offsets pending. aiokafka 0.14 sends OffsetFetch version 3. It
returns the previous offsets, and records would be processed twice. Version 7 reports pending partitions;
it is described here field by field after Kafka's `OffsetFetchRequest.json`. Uses aiokafka's protocol
classes, and its group coordinator. `tests/larder/kafka/test_stable_offsets.py` fails when they change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    GroupLoadInProgressError,
    NoError,
    NotCoordinatorForGroupError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

_UNSTABLE = 88

_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)


class StableOffsets(NamedTuple):
    """Committed offsets, and the partitions whose offset an open transaction may still change."""

    committed: Mapping[TopicPartition, OffsetAndMetadata]
    pending: Collection[TopicPartition]


class _OffsetFetchResponseV7(Response):
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(
            ("topic", _TEXT),
            ("partitions", CompactArray(
                ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT),
                ("error_code", Int16), _TAGS,
            )),
            _TAGS,
        )),
        ("error_code", Int16), _TAGS,
    )  # fmt: skip


class _OffsetFetchRequestV7(RequestStruct):
    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _OffsetFetchResponseV7
    SCHEMA = Schema(
        ("group_id", _TEXT),
        ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
        ("require_stable", Boolean), _TAGS,
    )  # fmt: skip


class _OffsetFetchRequest(Request[_OffsetFetchRequestV7]):
    API_KEY = 9

    def __init__(self, group: str, partitions: Mapping[str, list[int]] | None, *, stable: bool) -> None:
        self._group = group
        self._partitions = partitions
        self._stable = stable

    def build(self, request_struct_class: type[_OffsetFetchRequestV7]) -> _OffsetFetchRequestV7:
        # Null stands for all partitions that have an offset.
        topics: list[tuple[str, list[int], dict[int, bytes]]] | None
        topics = None if self._partitions is None else [(*each, {}) for each in self._partitions.items()]
        return request_struct_class(self._group, topics, self._stable, {})


async def stable_offsets(consumer: AIOKafkaConsumer, tps: Collection[TopicPartition]) -> StableOffsets:
    """Fetch the offsets of a consumer's group, in the event loop of the consumer; raises KafkaError.

    A pending partition comes with its offset from before the open transaction.
    """
    committed, pending = await _fetch(consumer, tps, stable=True)
    if pending:
        committed |= (await _fetch(consumer, pending, stable=False))[0]
    return StableOffsets(committed, pending)


async def all_offsets(send: Callable[[Any], Awaitable[Any]], group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Fetch all offsets of a group, which may have no members, from before open transactions; raise KafkaError.

    `send` sends a request to its coordinator. aiokafka's admin client returns no offsets while these are being loaded.
    """
    return _read(await send(_OffsetFetchRequest(group, None, stable=False)))[0]


async def _fetch(
    consumer: AIOKafkaConsumer, tps: Collection[TopicPartition], *, stable: bool
) -> tuple[dict[TopicPartition, OffsetAndMetadata], list[TopicPartition]]:
    coordinator = consumer._coordinator
    partitions = defaultdict(list)
    for tp in tps:
        partitions[tp.topic].append(tp.partition)
    await coordinator.ensure_coordinator_known()
    answer = await coordinator._send_req(_OffsetFetchRequest(coordinator.group_id, partitions, stable=stable))
    try:
        return _read(answer)
    except (NotCoordinatorForGroupError, GroupLoadInProgressError):
        coordinator.coordinator_dead()
        raise


def _read(answer: Any) -> tuple[dict[TopicPartition, OffsetAndMetadata], list[TopicPartition]]:
    """Return committed offsets and pending partitions; a coordinator that is loading reports it for the whole group."""
    committed, pending = {}, []
    codes = {answer.error_code}
    for topic, found, _ in answer.topics:
        for partition, offset, _, metadata, code, _ in found:
            if code == _UNSTABLE:
                pending.append(TopicPartition(topic, partition))
            elif offset >= 0:
                committed[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
            codes.add(code)
    for error in {for_code(code) for code in codes - {_UNSTABLE}} - {NoError, UnknownTopicOrPartitionError}:
        raise error
    return committed, pending
