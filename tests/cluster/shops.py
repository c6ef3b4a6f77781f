"""Shops for cluster tests: modules for workers, and an independent model of the published records.

The model only knows what the broker acknowledged, and not how workers work. `Shop.judge` compares it with the
committed records.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.structs import ConsumerRecord

from larder import OwnerTopic, Row
from larder.store import Memory, Table
from larder.store.storage.memory import MIB
from larder.store.table import Held
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, consumer, create, encoded, read
from tests.support.workers import Worker

PARTITIONS = 4
FLOOD_BATCH = 4_000  # rows, of 70 bytes

TOPICS = """
import contextlib
import os
import pathlib
import time

from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Order(Row):
    order_id: str
    customer_id: str
    number: int


class Joined(Order):
    customer: Customer | None
    worker: int = 0


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
orders = EventTopic("{prefix}.orders", Order, key="order_id", owner="checkout")
joined = EventTopic("{prefix}.joined", Joined, key="order_id", owner="{prefix}")
service = Service("{prefix}")
"""

GLOBAL = """
held = service.global_table(customers)
service.join(orders, held.on("customer_id"), into=joined, missing={missing})
"""

COPARTITIONED = """
held = service.table(customers)
service.join(orders.by("customer_id"), held, into=joined, missing={missing})
"""

KINDS = {"global": GLOBAL, "copartitioned": COPARTITIONED}

# After one of the above: each output names the process that made it.
SIGNED = """
(join,) = service.joins

@join
def signed(order: Order, customer: Customer) -> Joined | None:
    return Joined(order_id=order.order_id, customer_id=order.customer_id, number=order.number,
                  customer=customer, worker=os.getpid())
"""


class Customer(Row):
    """As in `TOPICS`, to read the stores of workers."""

    customer_id: str
    name: str
    revision: int


class Published(NamedTuple):
    """A row or a deletion, with its place in the log."""

    row: dict[str, Any] | None
    partition: int
    offset: int


class Shop:
    """Customers c0, c1, ... (with orders) and d0, d1, ... (changed and deleted only), and orders o0, o1, ..."""

    def __init__(
        self, kafka: str, prefix: str, beside: Beside, directory: Path, chance: random.Random, customers: int = 60
    ) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.beside = beside
        self.directory = directory
        self.published: dict[str, list[Published]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self._chance = chance
        self._keys = [f"c{number}" for number in range(customers)]
        self._others = [f"d{number}" for number in range(customers // 3)]
        self._numbers = iter(range(10**9))
        beside.call(create(kafka, {f"{prefix}.customers": PARTITIONS}, COMPACTED))
        beside.call(create(kafka, {f"{prefix}.orders": PARTITIONS, f"{prefix}.joined": PARTITIONS}))
        self._producer = beside.call(_producer(kafka))
        self.joined = Tail(kafka, f"{prefix}.joined", beside)
        self.publish([*self._keys, *self._others])

    def module(self, *parts: str, missing: str = "DeadLetter") -> str:
        """Return the text of a module that declares this shop."""
        return (TOPICS + "".join(parts)).replace("{prefix}", self.prefix).replace("{missing}", missing)

    def worker(self, module: str, name: str = "one", **settings: str) -> Worker:
        """Return a worker of this shop's service; settings as session_timeout_s="3"."""
        environment = {f"LARDER_{key.upper()}": value for key, value in settings.items()}
        return Worker(self.kafka, self.directory, module, self.prefix, name, environment)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of every complete table."""
        return {key: each[-1].row for key, each in self.published.items() if each[-1].row is not None}

    def close(self) -> None:
        self.beside.call(self._producer.stop())

    def publish(self, keys: Iterable[str]) -> None:
        """Publish a new revision for each mention of a customer."""
        named = Counter[str]()
        rows = []
        for key in keys:
            rows.append((key, self._row(key, later=named[key])))
            named[key] += 1
        self.beside.call(self._publish(rows))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the rows of these customers."""
        self.beside.call(self._publish([(key, None) for key in keys]))

    def flood(self, count: int, customers: Sequence[str] = ()) -> None:
        """Publish `count` new revisions as fast as possible, of each of these customers in turn."""
        keys = customers or self._keys
        rows = [(key, self._row(key, later=turn)) for turn in range(count // len(keys)) for key in keys]
        rows += [(key, self._row(key, later=count // len(keys))) for key in keys[: count % len(keys)]]
        self.beside.call(self._flood(rows))

    def order(self, count: int = 1, customers: Collection[str] = ()) -> list[str]:
        """Send orders of random ones of these customers, and return their ids."""
        rows = [self._order(customers or self._keys) for _ in range(count)]
        self.beside.call(self._send_orders(rows))
        return [row["order_id"] for row in rows]

    def order_as(self, name: str, customer: str = "c0") -> None:
        """Send an order with this id."""
        self.beside.call(self._send_orders([self._order([customer]) | {"order_id": name}]))

    def neighbours(self, customer: str) -> list[str]:
        """Return the customers in the partition of `customer`."""
        wanted = _partition(customer)
        return [key for key in self._keys if self.published[key][0].partition == wanted]

    def order_everywhere(self) -> list[str]:
        """Send an order to each partition of orders, of a customer of each partition, and return their ids."""
        by_partition = {self.published[key][0].partition: key for key in self._keys}
        assert len(by_partition) == PARTITIONS, "every partition needs a customer"
        rows = [self._order([by_partition[partition]]) for partition in range(PARTITIONS)]
        self.beside.call(self._send_orders(rows, range(PARTITIONS)))
        return [row["order_id"] for row in rows]

    @contextmanager
    def open(self, pause: float = 0.02) -> Iterator[None]:
        """Change customers and send orders during the block, some after each `pause` in seconds."""
        closing = self.beside.call(_event())
        running = self.beside.spawn(self._go_on(closing, pause))
        try:
            yield
        finally:
            self.beside.call(_set(closing))
            running.result(60)

    def judge(self, timeout: float = 30, *, once: bool = True) -> None:
        """Check that every order came out unchanged and once, with a row that its customer once had."""
        self.joined.until(self.orders, timeout)
        doubled = [name for name, times in Counter(record.key for record in self.joined.records).items() if times > 1]
        assert not (once and doubled), f"{len(doubled)} orders have several outputs: {doubled[:10]}"
        for record in self.joined.records:
            row = _decoded(record)
            order = self.orders.get(row["order_id"])
            assert order is not None, f"the output of an unknown order: {row}"
            assert {name: row[name] for name in order} == order, f"the output differs from its order: {row}"
            revisions = [each.row for each in self.published[order["customer_id"]]]
            assert row["customer"] in revisions, f"joined with a row that was never published for it: {row}"

    def judge_newest(self, orders: Collection[str]) -> None:
        """Check that these orders came out with the current rows of their customers."""
        newest = {
            row["order_id"]
            for row in map(_decoded, self.joined.records)
            if row["customer"] == self.rows[row["customer_id"]]
        }
        old = sorted(set(orders) - newest)
        assert not old, f"{len(old)} orders were joined with older rows: {old[:10]}"

    def judge_ages(self, workers: Iterable[Worker]) -> None:
        """Check that no output has an older row than the worker's table had when the worker began to use it."""
        begun = {worker.process.pid: self.positions_taken(worker) for worker in workers}
        for record in self.joined.records:
            row = _decoded(record)
            revisions = self.published[row["customer_id"]]
            used = next(each for each in revisions if each.row == row["customer"])
            begin = begun[row["worker"]][used.partition]
            known = [each for each in revisions if each.offset < begin]
            assert not known or used.offset >= known[-1].offset, (
                f"{row} was joined with offset {used.offset}; {known[-1]} lay before {begin}"
            )

    def longest_pause(self, since: float, kind: str) -> float:
        """Return the longest time in seconds without an output from one input partition."""
        last = dict.fromkeys(range(PARTITIONS), since)
        longest = 0.0
        for at, record in zip(self.joined.times, self.joined.records, strict=True):
            if at >= since:
                customer = _decoded(record)["customer_id"]
                # An output is in the partition of its order, since both have the same key.
                partition = record.partition if kind == "global" else self.published[customer][0].partition
                longest = max(longest, at - last[partition])
                last[partition] = at
        return longest

    def positions_taken(self, worker: Worker) -> Mapping[int, int]:
        """Return the lowest position of each customers' partition at which the worker began to use it."""
        found: dict[int, int] = {}
        pattern = rf"table {re.escape(self.prefix)}\.customers partition (\d+): caught up at (\d+) of"
        for partition, position in re.findall(pattern, worker.text):
            found[int(partition)] = min(int(position), found.get(int(partition), int(position)))
        return found

    def dead_letters(self) -> list[ConsumerRecord]:
        """Return the dead letters."""
        return self.beside.call(read(self.kafka, f"{self.prefix}.dead-letters"))

    def stored(self, worker: Worker) -> dict[str, dict[str, Any]]:
        """Return the rows that a worker left on its disk after its end, by key."""
        directory = self.directory / "larder" / "tables" / self.prefix / worker.name
        topic = OwnerTopic(f"{self.prefix}.customers", Customer, key="customer_id", revision="revision")
        held: Held = "global" if (directory / topic.name / "global").is_dir() else "partition"
        table = Table(topic, directory, Memory(8 * MIB, 8 * MIB), held)
        there = [int(each.name) for each in (directory / topic.name).glob("[0-9]*")]
        table.open(there or range(PARTITIONS), None)
        rows: dict[str, dict[str, Any]] = {}
        while page := list(table.found(from_=f"{max(rows)}\0" if rows else None, limit=10_000)):
            rows |= {found.key.decode(): msgspec.json.decode(found.json) for found in page}
        table.close()
        return rows

    def _row(self, key: str, later: int = 0) -> dict[str, Any]:
        revision = len(self.published.get(key, ())) + 1 + later
        return {"customer_id": key, "name": f"{key} at {revision}", "revision": revision}

    def _order(self, customers: Collection[str]) -> dict[str, Any]:
        number = next(self._numbers)
        customer = self._chance.choice(list(customers))
        return {"order_id": f"o{number}", "customer_id": customer, "number": number}

    async def _go_on(self, closing: asyncio.Event, pause: float) -> None:
        while not closing.is_set():
            key = self._chance.choice([*self._keys, *self._others])
            gone = key in self._others and self._chance.random() < 0.4
            await asyncio.gather(
                self._publish([(key, None if gone else self._row(key))]),
                self._send_orders([self._order(self._keys) for _ in range(4)]),
                asyncio.sleep(pause),
            )

    async def _publish(self, rows: Sequence[tuple[str, dict[str, Any] | None]]) -> None:
        topic = f"{self.prefix}.customers"
        sent = [await self._producer.send(topic, key=key.encode(), value=encoded(row)) for key, row in rows]
        for (key, row), acknowledged in zip(rows, sent, strict=True):
            at = await acknowledged
            self.published.setdefault(key, []).append(Published(row, at.partition, at.offset))

    async def _flood(self, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Send whole batches, which is fifty times as fast as single records."""
        topic = f"{self.prefix}.customers"
        by_partition: dict[int, list[tuple[str, dict[str, Any]]]] = {}
        for key, row in rows:
            by_partition.setdefault(_partition(key), []).append((key, row))
        for partition, mine in by_partition.items():
            for first in range(0, len(mine), FLOOD_BATCH):
                batch = self._producer.create_batch()
                some = mine[first : first + FLOOD_BATCH]
                for key, row in some:
                    added = batch.append(key=key.encode(), value=encoded(row), timestamp=None)
                    assert added is not None, "the batch is full"
                begin = (await (await self._producer.send_batch(batch, topic, partition=partition))).offset
                for place, (key, row) in enumerate(some):
                    self.published.setdefault(key, []).append(Published(row, partition, begin + place))

    async def _send_orders(self, rows: Sequence[dict[str, Any]], partitions: Sequence[int] | None = None) -> None:
        topic = f"{self.prefix}.orders"
        sent = [
            await self._producer.send(
                topic, key=row["order_id"].encode(), value=encoded(row), partition=partitions and partitions[place]
            )
            for place, row in enumerate(rows)
        ]
        for row, acknowledged in zip(rows, sent, strict=True):
            await acknowledged
            self.orders[row["order_id"]] = row


class Tail:
    """Reads the committed records of a topic from its start, each with its time of arrival (monotonic, in seconds)."""

    def __init__(self, kafka: str, topic: str, beside: Beside, partitions: int = PARTITIONS) -> None:
        self.records: list[ConsumerRecord] = []
        self.ids: set[str] = set()
        self.times: list[float] = []
        self._topic = topic
        self._reading = beside.spawn(self._read(kafka, [TopicPartition(topic, each) for each in range(partitions)]))

    def until(self, ids: Collection[str], timeout: float = 30) -> None:
        """Wait until records with these keys have arrived."""
        deadline = time.monotonic() + timeout
        while not self.ids.issuperset(ids):
            assert not self._reading.done(), f"reading {self._topic} ended: {self._reading.exception()}"
            absent = sorted(set(ids) - self.ids)
            assert time.monotonic() < deadline, (
                f"waited {timeout} s for {len(ids)} keys in {self._topic}; {len(absent)} are not there: {absent[:10]}"
            )
            time.sleep(0.02)

    async def _read(self, kafka: str, tps: Sequence[TopicPartition]) -> None:
        async with consumer(kafka) as reader:
            reader.assign(tps)
            for tp in tps:
                reader.seek(tp, 0)
            async for record in reader:
                self.times.append(time.monotonic())
                self.records.append(record)
                self.ids.add((record.key or b"").decode())


async def _producer(kafka: str) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, linger_ms=2, max_batch_size=512 * 1024
    )
    await producer.start()
    return producer


def _partition(key: str) -> int:
    """Return the partition of a key by the default partitioner."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS


def _decoded(record: ConsumerRecord) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.json.decode(record.value)
    return row


async def _event() -> asyncio.Event:
    return asyncio.Event()


async def _set(event: asyncio.Event) -> None:
    event.set()
