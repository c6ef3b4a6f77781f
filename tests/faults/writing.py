"""The owners and the checkout, played by the suite: rows that change and vanish, and orders; each write is recorded."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.faults.history import History, Written
from tests.faults.plan import Plan
from tests.support.topics import encoded

KEYS = 24
ORDERS = 150  # names of orders; each comes many times, so that there is an order to be kept
PAUSE_SECONDS = 0.02


class Writer:
    """Sends records and keeps what was sent, when, and where it lies."""

    def __init__(self, producer: AIOKafkaProducer, history: History) -> None:
        self._producer = producer
        self._history = history

    async def send(
        self, topic: str, key: str, value: dict[str, Any] | None, revision: int | None = None, times: int = 1
    ) -> None:
        """Send a record, `times` times over; returns once it is acknowledged, or given up."""
        for _ in range(times):
            sent = time.time()
            written = Written(topic, key, value, revision, sent)
            headers = [("larder.revision", str(revision).encode())] if value is None else None
            try:
                at = await self._producer.send_and_wait(topic, encoded(value), key.encode(), headers=headers)
                written = written._replace(acked=time.time(), partition=at.partition, offset=at.offset)
            except KafkaError as error:
                self._history.note(f"{topic} {key}: {error!r}")
            finally:
                # Given up, or cut off by the end of the load: whether it is there, the log will tell.
                self._history.written.append(written)


class Owner:
    """Owner of one topic: rows k0, k1, ... that come, change, vanish, and come again."""

    def __init__(self, writer: Writer, plan: Plan, topic: str, field: str, chance: random.Random) -> None:
        self._writer = writer
        self._plan = plan
        self._topic = topic
        self._field = field
        self._chance = chance
        self._revisions = {f"{field[0]}{number}": 0 for number in range(KEYS)}
        self._there: set[str] = set()
        self._still = {f"{field[0]}{number}" for number in range(0, KEYS, 4)}  # those that do not vanish

    @property
    def keys(self) -> list[str]:
        return list(self._revisions)

    async def begin(self) -> None:
        """Two keys of three are there from the start."""
        first = [key for place, key in enumerate(self.keys) if key in self._still or place % 3]
        await asyncio.gather(*(self._change(key) for key in first))

    async def step(self) -> None:
        key = self._chance.choice(self.keys)
        gone = key in self._there and key not in self._still and self._chance.random() < 0.4
        await self._change(key, gone=gone)

    async def _change(self, key: str, *, gone: bool = False) -> None:
        self._revisions[key] += 1
        revision = self._revisions[key]
        self._there ^= {key} if gone or key not in self._there else set()
        row = None if gone else {self._field: key, "name": f"{key} at {revision}", "revision": revision}
        times = 2 if self._plan.duplicated and self._chance.random() < 0.1 else 1
        await self._writer.send(self._topic, key, row, revision, times)


class Checkout:
    """Orders of customers for products, in the order of their serials or, where that is planned, somewhat out of it."""

    def __init__(
        self, writer: Writer, plan: Plan, topic: str, owners: tuple[Owner, Owner], chance: random.Random
    ) -> None:
        self._writer = writer
        self._plan = plan
        self._topic = topic
        self._owners = owners
        self._chance = chance
        self._serials = count()
        self._kept: list[dict[str, Any]] = []

    async def step(self, orders: int = 4) -> None:
        customers, products = self._owners
        self._kept += [self._order(customers, products) for _ in range(orders)]
        if self._plan.reordered:
            self._chance.shuffle(self._kept)
        keeping = len(self._kept) // 2 if self._plan.reordered else 0
        await self._send(self._kept[keeping:])
        del self._kept[keeping:]

    async def end(self) -> None:
        """Nothing is kept back."""
        await self._send(self._kept)
        self._kept.clear()

    def _order(self, customers: Owner, products: Owner) -> dict[str, Any]:
        return {
            "order_id": f"o{self._chance.randrange(ORDERS)}",
            "customer_id": None if self._chance.random() < 0.02 else self._chance.choice(customers.keys),
            "product_id": self._chance.choice(products.keys),
            "serial": next(self._serials),
        }

    async def _send(self, orders: list[dict[str, Any]]) -> None:
        times = [2 if self._plan.duplicated and self._chance.random() < 0.1 else 1 for _ in orders]
        await asyncio.gather(
            *(
                self._writer.send(self._topic, order["order_id"], order, None, often)
                for order, often in zip(orders, times, strict=True)
            )
        )


@asynccontextmanager
async def producing(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that outlives a broker that is killed and started again."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, linger_ms=1)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
