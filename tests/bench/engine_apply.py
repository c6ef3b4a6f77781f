"""Measures the store alone: python -m tests.bench.engine_apply [rows].

Applies rows of about 150 bytes to an empty global table of 4 partitions, in batches of 1,000, then reads 100,000 random
keys out of 50,000, and applies the same batches with newer revisions.
"""

import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from larder import OwnerTopic, Row
from larder.store import Memory, Table

BATCH = 1_000
READS = 100_000


class Customer(Row):
    customer_id: str
    name: str
    country: str
    email: str
    address: str
    revision: int


class Sent(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def records(rows: int, revision: int) -> list[Sent]:
    value = (
        '{{"customer_id":"customer-{0:07}","name":"Some Name","country":"AT","email":"someone{0}@example.org",'
        '"address":"Some Street {0}, 1010 Vienna","revision":{1}}}'
    )
    first = rows * (revision - 1)
    return [Sent(first + n, 1_000, b"customer-%07d" % n, value.format(n, revision).encode()) for n in range(rows)]


def apply_all(table: Table, sent: Sequence[Sent]) -> None:
    for start in range(0, len(sent), BATCH):
        table.apply(start // BATCH % 4, sent[start : start + BATCH])


def timed(name: str, count: int, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    work()
    spent = time.perf_counter() - start
    print(f"{name:<28} {count / spent:>12,.0f}/s {spent / count * 1e6:>8.2f} us")  # noqa: T201  a benchmark prints


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    topic = OwnerTopic("bench.customers", Customer, key="customer_id", revision="revision")
    first, second = records(rows, 1), records(rows, 2)
    chosen = random.Random(1)  # noqa: S311  to be repeated, not to be secret
    keys = [b"customer-%07d" % chosen.randrange(min(rows, 50_000)) for _ in range(READS)]
    texts = [key.decode() for key in keys]
    gc.collect()
    gc.freeze()
    gc.disable()
    with tempfile.TemporaryDirectory() as directory:
        table = Table(topic, Path(directory), Memory(), "global")
        table.open(range(4), "bench")
        timed("apply into an empty store", rows, lambda: apply_all(table, first))
        timed("raw, first time", READS, lambda: [table.raw(key) for key in keys])
        timed("raw, hot", READS, lambda: [table.raw(key) for key in keys])
        timed("raw_many of 500, hot", READS, lambda: [table.raw_many(keys[n : n + 500]) for n in range(0, READS, 500)])
        timed("get, hot", READS, lambda: [table.get(text) for text in texts])
        store = table.shard(0).store
        timed("past the hot rows", READS, lambda: [store.get(b"r" + key) for key in keys])
        timed("scan of 10,000", 10_000, lambda: list(table.scan(limit=10_000)))
        timed("apply newer revisions", rows, lambda: apply_all(table, second))
        table.close()


if __name__ == "__main__":
    main()
