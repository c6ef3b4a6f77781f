"""The bare loop's table: rows read from a topic into RocksDB, each with a header, and nothing else.

The comparison shows the cost of what Larder's tables add: revisions, deletions, positions, indexes, states. The program
`python -m tests.bench.bare_rows JOB` restores a table and prints one line of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import uvloop
from aiokafka.structs import TopicPartition
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch

from larder.kafka.batch_consumer import Batch, BatchConsumer, fetch
from tests.bench.declarations import Customer
from tests.bench.job import Job
from tests.bench.loading import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = Struct(">BqIqq")
MIB = 1 << 20
# Holds all rows of the join, so that the comparison does not depend on cache misses.
CACHE_BYTES = 128 * MIB
WRITE_BUFFER_BYTES = 16 * MIB
FETCH_BYTES = 8 * MIB
BATCH_RECORDS = 4_000


class Rows(NamedTuple):
    """A filled store, and the time from the first request to the last write."""

    store: Rdict
    rows: int
    seconds: float


def consumer(job: Job, group: str | None = None) -> BatchConsumer:
    """Return a consumer with Larder's settings."""
    return BatchConsumer(
        bootstrap_servers=job.brokers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=50,
    )


async def read_rows(job: Job) -> Rows:
    """Read the whole table of a job into a store."""
    store = Rdict(str(job.path / "rows"), _options())
    reading = consumer(job)
    await reading.start()
    try:
        started = time.perf_counter()
        partitions = [TopicPartition(job.table, each) for each in range(PARTITIONS)]
        reading.assign(partitions)
        for partition in partitions:
            reading.seek(partition, 0)
        count = await _read_to_end(reading, partitions, store)
        return Rows(store, count, time.perf_counter() - started)
    finally:
        await reading.stop()


async def _read_to_end(reading: BatchConsumer, partitions: Sequence[TopicPartition], store: Rdict) -> int:
    ends: dict[TopicPartition, int] = await reading.end_offsets(partitions)
    behind = {partition for partition, end in ends.items() if end}
    count = 0
    while behind:
        for batch in (await fetch(reading, behind, 1.0, BATCH_RECORDS)).batches:
            count += _write(store, batch)
            if batch.position >= ends[batch.tp]:
                behind.discard(batch.tp)
    return count


def _write(store: Rdict, batch: Batch) -> int:
    """Decode and check whole rows, add their headers, and write all at once."""
    decode = msgspec.json.Decoder(Customer).decode
    pack = HEADER.pack
    partition = batch.tp.partition
    writes = WriteBatch(raw_mode=True)
    for record in batch.records:
        value: Any = record.value
        row = decode(value)
        if row.customer_id.encode() != record.key:
            raise ValueError(value)
        writes.put(record.key, pack(1, row.revision, partition, record.offset, record.timestamp) + value)
    store.write(writes)
    return len(batch.records)


def _options() -> Options:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(Cache(CACHE_BYTES))
    blocks.set_bloom_filter(10, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003 - rocksdict's signature
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    return options


async def _main(job: Job) -> None:
    gc.freeze()
    gc.disable()
    read = await read_rows(job)
    print(json.dumps({"rows": read.rows, "seconds": read.seconds}))  # noqa: T201 - what the program is for
    read.store.close()


if __name__ == "__main__":
    uvloop.run(_main(Job(**json.loads(sys.argv[1]))))
