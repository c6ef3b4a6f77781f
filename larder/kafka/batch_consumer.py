"""Takes fetched records out of an aiokafka consumer, batch by batch, at the speed of its decoder.

aiokafka makes one dataclass for each record, in a Python generator. Taking the decoder's own records
halves the cost of a record. A batch comes with the position after it: a gap (markers, aborted and
compacted records) leaves no record from which to derive it. Fetches use a connection of their own.
Knows neither tables nor Faust.

This is the only module that uses the private parts of aiokafka's fetcher (0.14): its table of fetched
partitions, their record iterators and the positions of the subscription.
`tests/larder/kafka/test_batch_consumer.py` fails when they change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import (
    CorruptRecordException,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from larder.clock import now
from larder.kafka.checksums import are_intact

if TYPE_CHECKING:
    from larder.declaring.records import Record

POLL_SECONDS = 0.1
"""The longest wait of one poll, and so of a partition that becomes wanted meanwhile."""

FETCH_WAIT_MS = 50
"""How long the broker may hold back an empty answer. aiokafka has one request in flight for each broker, so this is
the longest that a partition whose records were just taken waits for its next ones."""

BATCH_RECORDS = 4_000
"""Records taken by one poll: enough to make the hand-over free, few enough to stay responsive."""


PIECE_RECORDS = 500
"""Records decoded at a time. They take tens of microseconds; a whole batch of a megabyte takes far longer."""

FETCHES = "fetches"
"""The group of connections for fetches, beside aiokafka's two."""

log = logging.getLogger("larder")


class Batch(NamedTuple):
    """Records of one partition in the order of its log; `position` is the next offset to read.

    `records` may be empty although `position` has moved, past nothing but markers and aborted records.
    """

    tp: TopicPartition
    records: Sequence[Record]
    position: int


class ObservedEnd(NamedTuple):
    """The end of a partition as the broker last reported it; `at` is in seconds since the epoch.

    `high` is the end of all records, those of open transactions included.
    """

    end: int
    at: float
    high: int = 0


class Fetched(NamedTuple):
    """The result of one poll: batches, ends, and partitions whose offset no longer exists."""

    batches: list[Batch]
    ends: Mapping[TopicPartition, ObservedEnd]
    out_of_range: Mapping[TopicPartition, int]


class _Client(AIOKafkaClient):
    """aiokafka's client, with a connection of its own for fetches.

    In aiokafka, requests for metadata and offsets wait behind megabytes of records. The leader of a group needs
    metadata before it assigns partitions, and sends no heartbeat meanwhile. On a slow network its session expired in
    every rebalance.
    """

    suspects = False
    """Whether records may have arrived damaged; from then on aiokafka verifies the checksum of each batch."""

    async def send(self, node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if not isinstance(request, FetchRequest):
            return await super().send(node_id, request, group=group)
        answer = await super().send(node_id, request, group=FETCHES)
        partitions = chain.from_iterable(partitions for _, partitions in answer.topics)
        self.suspects = self.suspects or not all(are_intact(records or b"") for *_, records in partitions)
        return answer


class BatchConsumer(AIOKafkaConsumer):
    """A consumer for `fetch`: it counts its seeks, and dates an end by the time of its request.

    aiokafka dates an end by the time at which it reads the answer. A process that slept (SIGSTOP, a suspended machine)
    reads an answer from before its sleep, and would take an outdated end for the current one.
    """

    seeks = 0

    def __init__(self, *topics: str, owned: Collection[str] = (), **options: Any) -> None:
        """Create a consumer; `owned` are the topics that only this service writes."""
        super().__init__(*topics, **options)
        self.owned = owned
        self._client.__class__ = _Client  # aiokafka chooses the class; nothing is connected yet

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.seeks += 1
        super().seek(partition, offset)

    async def start(self) -> None:
        await super().start()
        receive = self._fetcher._proc_fetch_request

        async def stamped(assignment: Any, node: Any, request: Any) -> Any:
            asked = int(now() * 1000)
            tps = [TopicPartition(topic, at) for topic, partitions in request.topics for at, *_ in partitions]
            states = [state for tp in tps if (state := assignment.state_value(tp)) is not None]
            before = [state.timestamp for state in states]
            received = await receive(assignment, node, request)
            for state, stamp in zip(states, before, strict=True):
                if state.timestamp != stamp:
                    state.timestamp = asked
            return received

        self._fetcher._proc_fetch_request = stamped

    async def stop(self) -> None:
        """Stop. aiokafka may raise the cancellation of its own fetches, which would look like the caller's."""
        stopping = asyncio.create_task(super().stop())
        await asyncio.wait({stopping})
        if stopping.cancelled():
            await self._client.close()
        elif (error := stopping.exception()) is not None:
            log.info("a consumer did not stop cleanly: %r", error)


async def fetch(consumer: BatchConsumer, wanted: Collection[TopicPartition], patience: float, limit: int) -> Fetched:
    """Wait up to `patience` seconds for records of the `wanted` partitions; take about `limit`.

    Takes nothing if the consumer seeks or is reassigned meanwhile: the caller would drop the earlier records, and they
    would not be fetched again. Partitions that are not wanted keep their records.

    Must run in the consumer's own event loop. Every call counts as a poll for `max_poll_interval_ms`.
    """
    with consumer._subscription.fetch_context():
        fetched = _take(consumer, wanted, limit)
        if not (fetched.batches or fetched.out_of_range) and patience > 0:
            before = _assignment(consumer), consumer.seeks
            await _new_data(consumer, patience)
            if before == (_assignment(consumer), consumer.seeks):
                fetched = _take(consumer, wanted, limit)
    return fetched


async def _new_data(consumer: AIOKafkaConsumer, patience: float) -> None:
    waiter = consumer._fetcher._create_fetch_waiter()
    done, _ = await asyncio.wait([waiter], timeout=patience)
    if not done:
        waiter.cancel()


def _take(consumer: BatchConsumer, wanted: Collection[TopicPartition], limit: int) -> Fetched:
    fetcher = consumer._fetcher
    assignment = _assignment(consumer)
    batches: list[Batch] = []
    out_of_range: dict[TopicPartition, int] = {}
    if assignment is None or consumer._subscription.reassignment_in_progress:
        return Fetched(batches, {}, out_of_range)
    for tp, result in list(fetcher._records.items()):
        if tp not in assignment.tps:
            del fetcher._records[tp]
        elif isinstance(result, FetchResult):
            if limit > 0 and tp in wanted:
                batch = _drain(tp, result, assignment, limit, check=consumer._client.suspects)
                limit -= len(batch.records)
                batches.append(batch)
                if not result.has_more():
                    del fetcher._records[tp]
        else:
            del fetcher._records[tp]
            out_of_range.update(_lost(result))
    fetcher._notify(fetcher._wait_consume_future)
    return Fetched(batches, _ends(assignment, consumer.owned), out_of_range)


def _assignment(consumer: AIOKafkaConsumer) -> Any:
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    return assignment if assignment is not None and assignment.active else None


def _lost(error: Any) -> dict[TopicPartition, int]:
    """Return positions that the broker refused. A missing committed offset is not one: we seek ourselves."""
    try:
        error.check_raise()
    except OffsetOutOfRangeError as refused:
        return dict(refused.args[0])
    except NoOffsetForPartitionError:
        pass
    return {}


def _ends(assignment: Any, owned: Collection[str]) -> dict[TopicPartition, ObservedEnd]:
    """Return the ends of committed records; of an owned topic, of all: a dead worker's may be committed later."""
    return {
        tp: ObservedEnd(state.highwater if tp.topic in owned else state.lso, state.timestamp / 1000, state.highwater)
        for tp, state in assignment._tp_state.items()
        if state.lso is not None and state.timestamp is not None
    }


def _drain(tp: TopicPartition, result: FetchResult, assignment: Any, limit: int, *, check: bool) -> Batch:
    """Take whole record batches up to about `limit` records, and advance the position."""
    state = assignment.state_value(tp)
    source: PartitionRecords | None = result._partition_records
    if source is None or state.paused or state.position != source.next_fetch_offset:
        result._partition_records = None
        return Batch(tp, [], state.position)
    records: list[Record] = []
    while len(records) < limit and source._records.has_next():
        _next_batch(tp, source, records, check=check)
    state.consumed_to(source.next_fetch_offset)
    if not source._records.has_next():
        result._partition_records = None
        # Its unused iterator refers back to it: the cycle would keep the fetched bytes alive.
        source._records_iterator = None
    return Batch(tp, records, source.next_fetch_offset)


def _next_batch(tp: TopicPartition, source: PartitionRecords, records: list[Record], *, check: bool) -> None:
    """Unpack one record batch as `PartitionRecords._unpack_records` does, but without a step per record."""
    batch = source._records.next_batch()
    if check and not batch.validate_crc():
        message = f"invalid checksum in {tp.topic}/{tp.partition} at {source.next_fetch_offset}"
        raise CorruptRecordException(message)
    if not (_aborted(source, batch) or batch.is_control_batch):
        new = _all(batch)
        first = source.next_fetch_offset
        if new and new[0].offset < first:
            new = [record for record in new if record.offset >= first]
        records += new
    source.next_fetch_offset = batch.next_offset


def _all(batch: Any) -> list[Record]:
    """Decode a batch in pieces: `list` would lock out the worker's other thread for the whole batch."""
    records: list[Record] = []
    left: Iterator[Record] = chain(batch)  # a batch can be iterated once
    while some := list(islice(left, PIECE_RECORDS)):
        records += some
    return records


def _aborted(source: PartitionRecords, batch: Any) -> bool:
    if source._isolation_level != READ_COMMITTED or batch.producer_id is None:
        return False
    source._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch and source._contains_abort_marker(batch):
        source._aborted_producers.discard(batch.producer_id)
    return batch.is_transactional and batch.producer_id in source._aborted_producers
