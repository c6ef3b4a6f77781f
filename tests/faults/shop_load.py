"""The load of the shop: owners whose rows change and vanish, and a checkout with orders."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.writing import Writer

KEYS = 24
ORDERS = 150  # keys of orders; each occurs many times, so that there is a sequence to preserve
LATE_ONES = 0.01
"""The number of partners that appear late, and only once."""
LATEST_STEPS = 150
"""How late they appear, in steps of the load of at least 20 ms."""


def keys(letter: str) -> Sequence[str]:
    """The keys of an owner's rows."""
    return [f"{letter}{number}" for number in range(KEYS)]


class Owner:
    """The owner of a topic whose rows k0, k1, ... appear, change, vanish and reappear. `more` gives further fields."""

    def __init__(
        self, writer: Writer, topic: str, field: str, chance: random.Random, more: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._more = more
        self._writer = writer
        self._topic = topic
        self._field = field
        self._chance = chance
        self._revisions = dict.fromkeys(keys(field[0]), 0)
        self._there: set[str] = set()
        self._still = set(keys(field[0])[::4])  # those that do not vanish

    async def begin(self) -> None:
        """Write two of three keys at the start."""
        first = [key for place, key in enumerate(self._revisions) if key in self._still or place % 3]
        await asyncio.gather(*(self._change(key) for key in first))

    async def step(self) -> None:
        key = self._chance.choice(list(self._revisions))
        gone = key in self._there and key not in self._still and self._chance.random() < 0.4
        await self._change(key, gone=gone)

    async def _change(self, key: str, *, gone: bool = False) -> None:
        self._revisions[key] += 1
        revision = self._revisions[key]
        self._there ^= {key} if gone or key not in self._there else set()
        row = None if gone else {self._field: key, **self._more(), "name": f"{key} at {revision}", "revision": revision}
        await self._writer.send(self._topic, key, row, revision)


class Late:
    """Rows that appear only once, some time after an order that needs them. A missed row gets no second chance."""

    def __init__(self, writer: Writer, topic: str, field: str, chance: random.Random) -> None:
        self._writer = writer
        self._topic = topic
        self._field = field
        self._chance = chance
        self._due: list[tuple[int, str]] = []
        self._keys = count()
        self._steps = 0

    def key(self) -> str:
        """Return a key whose row will appear later."""
        key = f"late-{self._field[0]}{next(self._keys)}"
        self._due.append((self._steps + self._chance.randrange(LATEST_STEPS), key))
        return key

    async def step(self) -> None:
        self._steps += 1
        await self._come([due for due in self._due if due[0] <= self._steps])

    async def end(self) -> None:
        """Write all rows that are still missing."""
        await self._come(list(self._due))

    async def _come(self, due: list[tuple[int, str]]) -> None:
        self._due = [each for each in self._due if each not in due]
        rows = [{self._field: key, "name": f"{key} at 1", "revision": 1} for _, key in due]
        await asyncio.gather(*(self._writer.send(self._topic, row[self._field], row, 1) for row in rows))


class Checkout:
    """Orders of customers for products, by serial or, if so planned, slightly out of order."""

    def __init__(
        self,
        writer: Writer,
        topic: str,
        chance: random.Random,
        late_customers: Late,
        late_products: Late,
        *,
        reordered: bool,
    ) -> None:
        self._late_customers = late_customers
        self._late_products = late_products
        self._writer = writer
        self._topic = topic
        self._reordered = reordered
        self._chance = chance
        self._serials = count()
        self._kept: list[dict[str, Any]] = []

    async def step(self, orders: int = 4) -> None:
        self._kept += [self._order() for _ in range(orders)]
        if self._reordered:
            self._chance.shuffle(self._kept)
        keeping = len(self._kept) // 2 if self._reordered else 0
        await self._send(self._kept[keeping:])
        del self._kept[keeping:]

    async def end(self) -> None:
        """Do nothing: this load holds nothing back."""
        await self._send(self._kept)
        self._kept.clear()

    def _order(self) -> dict[str, Any]:
        return {
            "order_id": f"o{self._chance.randrange(ORDERS)}",
            "customer_id": None if self._chance.random() < 0.02 else self._partner("c", self._late_customers),
            "product_id": self._partner("p", self._late_products),
            "serial": next(self._serials),
        }

    def _partner(self, letter: str, late: Late) -> str:
        return late.key() if self._chance.random() < LATE_ONES else self._chance.choice(keys(letter))

    async def _send(self, orders: list[dict[str, Any]]) -> None:
        await asyncio.gather(*(self._writer.send(self._topic, order["order_id"], order) for order in orders))


def load(writer: Writer, plan: Plan, prefix: str, chance: random.Random) -> Load:
    customers = Owner(writer, f"{prefix}.customers", "customer_id", chance)
    products = Owner(writer, f"{prefix}.products", "product_id", chance)
    late_customers = Late(writer, f"{prefix}.customers", "customer_id", chance)
    late_products = Late(writer, f"{prefix}.products", "product_id", chance)
    checkout = Checkout(writer, f"{prefix}.orders", chance, late_customers, late_products, reordered=plan.reordered)

    async def begin() -> None:
        await asyncio.gather(customers.begin(), products.begin())

    async def step() -> None:
        steps = (customers.step(), products.step(), late_customers.step(), late_products.step(), checkout.step())
        await asyncio.gather(*steps)

    async def end() -> None:
        await checkout.end()
        await asyncio.gather(late_customers.end(), late_products.end())

    return Load(begin, step, end)
