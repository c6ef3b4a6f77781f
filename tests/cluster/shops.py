"""Shops for cluster tests: what workers are given to run, and a model of what was published, computed apart.

The model knows what the broker acknowledged and nothing of how workers work; `Shop.judge` compares what a
reader of committed records sees with it.
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

# After one of the above: each output says which process has made it.
SIGNED = """
(join,) = service.joins

@join
def signed(order: Order, customer: Customer) -> Joined | None:
    return Joined(order_id=order.order_id, customer_id=order.customer_id, number=order.number,
                  customer=customer, worker=os.getpid())
"""


class Customer(Row):
    """As in `TOPICS`, for reading what workers have stored."""

    customer_id: str
    name: str
    revision: int


class Published(NamedTuple):
    """A row, or a deletion, as the broker has it."""

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
        """The text of a module that declares this shop."""
        return (TOPICS + "".join(parts)).replace("{prefix}", self.prefix).replace("{missing}", missing)

    def worker(self, module: str, name: str = "one", **settings: str) -> Worker:
        """A worker of this shop's service; settings as session_timeout_s="3"."""
        environment = {f"LARDER_{key.upper()}": value for key, value in settings.items()}
        return Worker(self.kafka, self.directory, module, self.prefix, name, environment)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows that every complete table has."""
        return {key: each[-1].row for key, each in self.published.items() if each[-1].row is not None}

    def close(self) -> None:
        self.beside.call(self._producer.stop())

    def publish(self, keys: Iterable[str]) -> None:
        """A new revision for each time that a customer is named."""
        named = Counter[str]()
        rows = []
        for key in keys:
            rows.append((key, self._row(key, later=named[key])))
            named[key] += 1
        self.beside.call(self._publish(rows))

    def delete(self, keys: Iterable[str]) -> None:
        """The rows of these customers are gone."""
        self.beside.call(self._publish([(key, None) for key in keys]))

    def flood(self, count: int, customers: Sequence[str] = ()) -> None:
        """So many new revisions, one after the other of each of these customers, as fast as it goes."""
        keys = customers or self._keys
        rows = [(key, self._row(key, later=turn)) for turn in range(count // len(keys)) for key in keys]
        rows += [(key, self._row(key, later=count // len(keys))) for key in keys[: count % len(keys)]]
        self.beside.call(self._flood(rows))

    def order(self, count: int = 1, customers: Collection[str] = ()) -> list[str]:
        """Orders of these customers, by chance; answers their ids."""
        rows = [self._order(customers or self._keys) for _ in range(count)]
        self.beside.call(self._send_orders(rows))
        return [row["order_id"] for row in rows]

    def order_as(self, name: str, customer: str = "c0") -> None:
        """An order under this id."""
        self.beside.call(self._send_orders([self._order([customer]) | {"order_id": name}]))

    def neighbours(self, customer: str) -> list[str]:
        """The customers there are whose partition is that of `customer`."""
        wanted = _partition(customer)
        return [key for key in self._keys if self.published[key][0].partition == wanted]

    def order_everywhere(self) -> list[str]:
        """An order on each partition of the orders' topic, for a customer of each partition of customers."""
        by_partition = {self.published[key][0].partition: key for key in self._keys}
        assert len(by_partition) == PARTITIONS, "each partition has a customer"
        rows = [self._order([by_partition[partition]]) for partition in range(PARTITIONS)]
        self.beside.call(self._send_orders(rows, range(PARTITIONS)))
        return [row["order_id"] for row in rows]

    @contextmanager
    def open(self, pause: float = 0.02) -> Iterator[None]:
        """Meanwhile customers change and orders come, some after each `pause` in seconds."""
        closing = self.beside.call(_event())
        running = self.beside.spawn(self._go_on(closing, pause))
        try:
            yield
        finally:
            self.beside.call(_set(closing))
            running.result(60)

    def judge(self, timeout: float = 30, *, once: bool = True) -> None:
        """Every order comes out, once, as it was, with a row that its customer once had."""
        self.joined.until(self.orders, timeout)
        doubled = [name for name, times in Counter(record.key for record in self.joined.records).items() if times > 1]
        assert not (once and doubled), f"{len(doubled)} orders came out more than once: {doubled[:10]}"
        for record in self.joined.records:
            row = _decoded(record)
            order = self.orders.get(row["order_id"])
            assert order is not None, f"an output of an order that nobody wrote: {row}"
            assert {name: row[name] for name in order} == order, f"not the order that was written: {row}"
            revisions = [each.row for each in self.published[order["customer_id"]]]
            assert row["customer"] in revisions, f"joined with a row that was never published for it: {row}"

    def judge_newest(self, orders: Collection[str]) -> None:
        """These orders came out with the rows that their customers have now."""
        newest = {
            row["order_id"]
            for row in map(_decoded, self.joined.records)
            if row["customer"] == self.rows[row["customer_id"]]
        }
        old = sorted(set(orders) - newest)
        assert not old, f"{len(old)} orders were joined with older rows: {old[:10]}"

    def judge_ages(self, workers: Iterable[Worker]) -> None:
        """No output of a worker has a row older than what its table held when it began to be used."""
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
        """For how long, at most, nothing came of one input partition, in seconds."""
        last = dict.fromkeys(range(PARTITIONS), since)
        longest = 0.0
        for at, record in zip(self.joined.times, self.joined.records, strict=True):
            if at >= since:
                customer = _decoded(record)["customer_id"]
                # An output lies where its order lay, as both go by the same key.
                partition = record.partition if kind == "global" else self.published[customer][0].partition
                longest = max(longest, at - last[partition])
                last[partition] = at
        return longest

    def positions_taken(self, worker: Worker) -> Mapping[int, int]:
        """Where the customers' partitions were, at the lowest, when their rows began to be used."""
        found: dict[int, int] = {}
        pattern = rf"table {re.escape(self.prefix)}\.customers partition (\d+): caught up at (\d+) of"
        for partition, position in re.findall(pattern, worker.text):
            found[int(partition)] = min(int(position), found.get(int(partition), int(position)))
        return found

    def parked(self) -> list[ConsumerRecord]:
        """The dead letters."""
        return self.beside.call(read(self.kafka, f"{self.prefix}.dead-letters"))

    def stored(self, worker: Worker) -> dict[str, dict[str, Any]]:
        """What a worker that has ended left on its disk: rows by key."""
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
        """Whole batches: fifty times as fast as record by record."""
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
                    assert added is not None, "batches are small enough"
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
    """What a reader of committed records has seen of a topic, from its start, and when (monotonic, in seconds)."""

    def __init__(self, kafka: str, topic: str, beside: Beside, partitions: int = PARTITIONS) -> None:
        self.records: list[ConsumerRecord] = []
        self.ids: set[str] = set()
        self.times: list[float] = []
        self._topic = topic
        self._reading = beside.spawn(self._read(kafka, [TopicPartition(topic, each) for each in range(partitions)]))

    def until(self, ids: Collection[str], timeout: float = 30) -> None:
        """Wait until records with these keys are there."""
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
    """Where the default partitioner puts a key."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS


def _decoded(record: ConsumerRecord) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.json.decode(record.value)
    return row


async def _event() -> asyncio.Event:
    return asyncio.Event()


async def _set(event: asyncio.Event) -> None:
    event.set()
