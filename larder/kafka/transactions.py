"""Transactions that are fenced by the consumer group's generation (KIP-447).

aiokafka 0.14 sends the offsets of a transaction without the generation (TxnOffsetCommit version 0). So a paused
worker could commit although another one now has its partitions. Here version 3 is sent, described field by
field after Kafka's `TxnOffsetCommitRequest.json`. A producer that has failed is not repaired but
discarded; the next one with its transactional id ends the open transaction.

This is the only module that uses the private parts of aiokafka's producer: its sender, and the state of its
transaction manager. `tests/larder/kafka/test_transactions.py` fails when they change.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple, ParamSpec, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.client import CoordinationType
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced
from aiokafka.producer.sender import (
    AddOffsetsToTxnHandler,
    AddPartitionsToTxnHandler,
    Sender,
    TxnOffsetCommitHandler,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields
from aiokafka.structs import OffsetAndMetadata, RecordMetadata, TopicPartition

P = ParamSpec("P")
T = TypeVar("T")

_FENCED = {
    22: "illegal generation",
    25: "unknown member",
    27: "rebalance in progress",
    82: "fenced instance",
    120: "transaction abortable",
}
"""Error codes for a member that the group has fenced; aiokafka does not know the last two."""

_PRODUCER_FENCED = 90
_CONCURRENT_TRANSACTIONS = 51

_CONCURRENT_SECONDS = 0.001
"""Pause while the broker is still ending the previous transaction; aiokafka waits 20 ms and 100 ms."""

_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)


class Member(NamedTuple):
    """A member of a group in the generation in which its partitions were assigned."""

    group: str
    generation: int
    member_id: str
    instance_id: str | None = None


class GroupFencedError(ProducerFenced):
    """The group has fenced this member: nothing of the transaction is committed."""


class _TxnOffsetCommitResponseV3(Response):
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "errors",
            CompactArray(
                ("topic", _TEXT),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _TxnOffsetCommitRequestV3(RequestStruct):
    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TxnOffsetCommitResponseV3
    SCHEMA = Schema(
        ("transactional_id", _TEXT), ("group_id", _TEXT), ("producer_id", Int64), ("producer_epoch", Int16),
        ("generation_id", Int32), ("member_id", _TEXT), ("group_instance_id", _TEXT),
        ("topics", CompactArray(
            ("topic", _TEXT),
            ("partitions", CompactArray(
                ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT), _TAGS,
            )),
            _TAGS,
        )),
        _TAGS,
    )  # fmt: skip


class _TxnOffsetCommitRequest(Request[_TxnOffsetCommitRequestV3]):
    API_KEY = 28

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[_TxnOffsetCommitRequestV3]) -> _TxnOffsetCommitRequestV3:
        return request_struct_class(*self._fields, {})


class _TxnOffsetCommit(TxnOffsetCommitHandler):
    """Sends offsets with the generation of their member."""

    def __init__(self, sender: _Sender, offsets: Mapping[TopicPartition, OffsetAndMetadata], member: Member) -> None:
        super().__init__(sender, offsets, member.group)
        self._member = member

    def create_request(self) -> _TxnOffsetCommitRequest:
        member, transaction = self._member, self._sender._txn_manager
        topics: defaultdict[str, list[Any]] = defaultdict(list)
        for tp, at in sorted(self._offsets.items()):
            topics[tp.topic].append((tp.partition, at.offset, -1, at.metadata, {}))
        return _TxnOffsetCommitRequest(
            transaction.transactional_id, member.group, transaction.producer_id, transaction.producer_epoch,
            member.generation, member.member_id, member.instance_id,
            [(topic, partitions, {}) for topic, partitions in topics.items()],
        )  # fmt: skip

    def handle_response(self, response: Any) -> float | None:
        errors = [(topic, [(partition, code) for partition, code, _ in found]) for topic, found, _ in response.errors]
        codes = {code for _, found in errors for _, code in found}
        if _PRODUCER_FENCED in codes:
            raise ProducerFenced
        if said := [text for code, text in _FENCED.items() if code in codes]:
            message = f"{', '.join(said)}: generation {self._member.generation} of group {self._member.group}"
            raise GroupFencedError(message)
        backoff: float | None = super().handle_response(SimpleNamespace(errors=errors))
        return backoff


class _AddPartitions(AddPartitionsToTxnHandler):
    def handle_response(self, response: Any) -> float | None:
        codes = {code for _, found in response.errors for _, code in found}
        return _backoff(super().handle_response(response), codes)


class _AddOffsets(AddOffsetsToTxnHandler):
    def handle_response(self, response: Any) -> float | None:
        return _backoff(super().handle_response(response), {response.error_code})


def _backoff(seconds: float | None, codes: set[int]) -> float | None:
    return _CONCURRENT_SECONDS if seconds is not None and _CONCURRENT_TRANSACTIONS in codes else seconds


class _Sender(Sender):
    """aiokafka's sender, with our own requests in place of incomplete ones."""

    member: Member

    async def _do_add_partitions_to_txn(self, tps: set[TopicPartition]) -> bool:
        return bool(await _AddPartitions(self, tps).do(await self._transaction_coordinator()))

    async def _do_add_offsets_to_txn(self, group_id: str) -> bool:
        return bool(await _AddOffsets(self, group_id).do(await self._transaction_coordinator()))

    async def _do_txn_offset_commit(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group_id: str
    ) -> None:  # fmt: skip
        node = await self._find_coordinator(CoordinationType.GROUP, group_id)
        await _TxnOffsetCommit(self, offsets, self.member).do(node)

    async def _send_produce_req(self, node_id: int, batches: Mapping[TopicPartition, Any]) -> None:
        """Send batches, and do not retry one that is answered after all have failed.

        aiokafka would retry it and remove it from a set twice, and asyncio would log a KeyError.
        """
        try:
            await super()._send_produce_req(node_id, batches)
        except KeyError:
            if self._message_accumulator._exception is None:
                raise

    async def _transaction_coordinator(self) -> int:
        node: int = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        return node


class TransactionalProducer(AIOKafkaProducer):
    """A producer of one transaction after another: the first output begins one, and `commit` ends it."""

    def __init__(self, transactional_id: str, timeout_ms: int, **options: Any) -> None:
        super().__init__(transactional_id=transactional_id, transaction_timeout_ms=timeout_ms, **options)
        before: Sender = self._sender
        self._sender: Sender = _Sender(
            self.client,
            acks=before._acks,
            txn_manager=self._txn_manager,
            retry_backoff_ms=before._retry_backoff * 1000,
            message_accumulator=self._message_accumulator,
            request_timeout_ms=before._request_timeout_ms,
        )
        self._fail_all = self._message_accumulator.fail_all
        self._message_accumulator.fail_all = self._fail_quietly
        self._add_offsets = self._txn_manager.add_offsets_to_txn
        self._txn_manager.add_offsets_to_txn = self._add_offsets_quietly

    async def send_batch(self, *args: Any, **options: Any) -> asyncio.Future[RecordMetadata]:
        """Send a batch as aiokafka does, but keep asyncio from logging errors that nobody awaits.

        Raises KafkaError, also if the transaction has ended meanwhile.
        """
        sent: asyncio.Future[RecordMetadata] = await self._step(super().send_batch, *args, **options)
        sent.add_done_callback(_retrieved)
        return sent

    async def begin(self, member: Member) -> None:
        """Begin a transaction for a member unless one is open; raises KafkaError."""
        self._check()
        if not self._txn_manager.is_in_transaction():
            self._sender.member = member
            await self._step(self.begin_transaction)

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit the open transaction, whose outputs are all acknowledged, together with these offsets.

        Raises GroupFencedError if the group has fenced the member of `begin`, and KafkaError. After an error
        only the broker knows whether the transaction was committed.
        """
        await self._step(self.send_offsets_to_transaction, dict(offsets), self._sender.member.group)
        await self._step(self.commit_transaction)

    async def in_one(self, send: Callable[[], Awaitable[None]]) -> None:
        """Publish what `send` sends in one transaction without offsets; raises KafkaError.

        After an error only the broker knows whether it was committed, and the producer has to be discarded.
        """
        await self._step(self.begin_transaction)
        await send()
        await self._step(self.commit_transaction)

    async def discard(self) -> None:
        """Close the producer without sending the rest."""
        self._closed = True
        try:
            if (sending := self._sender.sender_task) is not None:
                sending.cancel()
                await asyncio.wait([sending])
        finally:
            if (ended := self._txn_manager.wait_for_transaction_end()) is not None and ended.done():
                _retrieved(ended)
            await self.client.close()

    def _fail_quietly(self, error: BaseException) -> None:
        """Fail all batches, and keep asyncio from logging a trace for each that nobody awaits."""
        self._fail_all(error)
        waiting = self._message_accumulator
        for batch in chain(*waiting._batches.values(), waiting._pending_batches):
            if batch._drain_waiter.done():
                _retrieved(batch._drain_waiter)

    def _add_offsets_quietly(self, *args: Any) -> asyncio.Future[None]:
        """Add offsets. A cancelled commit does not wait for them, and they may fail later."""
        added: asyncio.Future[None] = self._add_offsets(*args)
        added.add_done_callback(_retrieved)
        return added

    def _check(self) -> None:
        """Raise the error that ended this producer; aiokafka itself would fail on its own states."""
        if self._txn_manager.is_fatal_error():
            self._txn_manager.wait_for_transaction_end().result()

    async def _step(self, call: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        self._check()
        try:
            return await call(*args, **options)
        except (IllegalOperation, AssertionError) as error:
            message = f"the transaction has ended meanwhile: {error}"
            raise KafkaError(message) from error


def _retrieved(done: asyncio.Future[Any]) -> None:
    """Mark an error as retrieved, so that asyncio logs no trace of it. A caller that awaits it still gets it."""
    if not done.cancelled():
        done.exception()
