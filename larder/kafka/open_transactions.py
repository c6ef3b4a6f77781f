"""Open transactions of partitions, and their producers. Readers of committed records stop at an open transaction.

The leader of a partition knows the producers with an open transaction (DescribeProducers). Their coordinator knows
the transactional id of each (ListTransactions), and when it began (DescribeTransactions). aiokafka 0.14 has none of
these requests. They are described here field by field after Kafka's schemas (version 0 each, flexible encoding;
brokers since 3.0). Uses aiokafka's protocol classes.
`tests/larder/kafka/test_open_transactions.py` fails when they change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields
from aiokafka.structs import TopicPartition

from larder.declaring.problems import Problem
from larder.kafka.topic_metadata import leaders

_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)


class OpenTransaction(NamedTuple):
    """A transaction that has not ended; `offset` is its first in the partition, `began` in s since 1970.

    It has no transactional id if its coordinator has forgotten it, or does not show it to this client.
    """

    offset: int
    producer_id: int
    transactional_id: str | None = None
    began: float | None = None

    @property
    def whose(self) -> str:
        """Its producer, in words."""
        if self.transactional_id is not None:
            return f"transactional id {self.transactional_id}"
        return f"producer {self.producer_id}, whose transactional id the brokers do not tell"


class _DescribeProducersResponse(Response):
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(
            ("name", _TEXT),
            ("partitions", CompactArray(
                ("partition", Int32), ("error_code", Int16), ("error_message", _TEXT),
                ("producers", CompactArray(
                    ("producer_id", Int64), ("producer_epoch", Int32), ("last_sequence", Int32),
                    ("last_timestamp", Int64), ("coordinator_epoch", Int32), ("start_offset", Int64), _TAGS,
                )),
                _TAGS,
            )),
            _TAGS,
        )),
        _TAGS,
    )  # fmt: skip


class _DescribeProducersRequest(RequestStruct):
    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeProducersResponse
    SCHEMA = Schema(("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS)


class _ListTransactionsResponse(Response):
    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("unknown_states", CompactArray(_TEXT)),
        ("transactions", CompactArray(("transactional_id", _TEXT), ("producer_id", Int64), ("state", _TEXT), _TAGS)),
        _TAGS,
    )  # fmt: skip


class _ListTransactionsRequest(RequestStruct):
    API_KEY = 66
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ListTransactionsResponse
    SCHEMA = Schema(("states", CompactArray(_TEXT)), ("producer_ids", CompactArray(Int64)), _TAGS)


class _DescribeTransactionsResponse(Response):
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("transactions", CompactArray(
            ("error_code", Int16), ("transactional_id", _TEXT), ("state", _TEXT), ("timeout_ms", Int32),
            ("began_ms", Int64), ("producer_id", Int64), ("producer_epoch", Int16),
            ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS,
        )),
        _TAGS,
    )  # fmt: skip


class _DescribeTransactionsRequest(RequestStruct):
    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeTransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(_TEXT)), _TAGS)


class _DescribeProducers(Request[_DescribeProducersRequest]):
    API_KEY = 61

    def __init__(self, partitions: Mapping[str, list[int]]) -> None:
        self._partitions = partitions

    def build(self, request_struct_class: type[_DescribeProducersRequest]) -> _DescribeProducersRequest:
        topics: list[tuple[str, list[int], dict[int, bytes]]] = [(*each, {}) for each in self._partitions.items()]
        return request_struct_class(topics, {})


class _ListTransactions(Request[_ListTransactionsRequest]):
    API_KEY = 66

    def __init__(self, producer_ids: Collection[int]) -> None:
        self._producer_ids = list(producer_ids)

    def build(self, request_struct_class: type[_ListTransactionsRequest]) -> _ListTransactionsRequest:
        return request_struct_class([], self._producer_ids, {})


class _DescribeTransactions(Request[_DescribeTransactionsRequest]):
    API_KEY = 65

    def __init__(self, transactional_ids: Collection[str]) -> None:
        self._transactional_ids = list(transactional_ids)

    def build(self, request_struct_class: type[_DescribeTransactionsRequest]) -> _DescribeTransactionsRequest:
        return request_struct_class(self._transactional_ids, {})


async def open_transactions(
    client: AIOKafkaClient, tps: Collection[TopicPartition]
) -> Mapping[TopicPartition, OpenTransaction]:
    """Return the first open transaction of each partition that has one; raises KafkaError."""
    found = await _first_open(client, tps)
    named = await _named(client, {each.producer_id for each in found.values()}) if found else {}
    return {tp: named.get(each.producer_id, each)._replace(offset=each.offset) for tp, each in found.items()}


async def _first_open(client: AIOKafkaClient, tps: Collection[TopicPartition]) -> dict[TopicPartition, OpenTransaction]:
    by_leader: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    led = await leaders(client, {tp.topic for tp in tps})
    for tp in tps:
        if tp in led:
            by_leader[led[tp]][tp.topic].append(tp.partition)
    found = {}
    for leader, partitions in by_leader.items():
        answer: Any = await client.send(leader, _DescribeProducers(partitions))
        for topic, answers, _ in answer.topics:
            for partition, code, _, producers, _ in answers:
                if code:
                    raise for_code(code)(topic)
                begun = [OpenTransaction(start, producer_id) for producer_id, *_, start, _ in producers if start >= 0]
                if begun:
                    found[TopicPartition(topic, partition)] = min(begun)
    return found


async def _named(client: AIOKafkaClient, producer_ids: Collection[int]) -> dict[int, OpenTransaction]:
    """Return the transactions of producers; each broker knows those that it coordinates."""
    found = {}
    for broker in client.cluster.brokers():
        listed: Any = await client.send(broker.nodeId, _ListTransactions(producer_ids))
        if (error := for_code(listed.error_code)) is not NoError:
            raise error
        names = [transactional_id for transactional_id, *_ in listed.transactions]
        if not names:
            continue
        described: Any = await client.send(broker.nodeId, _DescribeTransactions(names))
        began = {name: at / 1000 for _, name, _, _, at, *_ in described.transactions if at >= 0}
        for name, producer_id, *_ in listed.transactions:
            found[producer_id] = OpenTransaction(-1, producer_id, name, began.get(name))
    return found


def behind(tp: TopicPartition, found: OpenTransaction, brokers: str) -> Problem:
    """Return the problem of an open transaction that stops readers: its producer, and how to end it."""
    end = (
        f"kafka-transactions.sh --bootstrap-server {brokers} abort --topic {tp.topic} --partition {tp.partition}"
        f" --start-offset {found.offset}"
    )
    return Problem(
        f"topic {tp.topic}, partition {tp.partition}",
        f"requires that the transaction ends that is open from offset {found.offset} on",
        f"it is open: {found.whose}",
        f"have its producer commit or abort it, or abort it: {end}",
    )
