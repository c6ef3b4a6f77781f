"""The load of orders: bursts of clients want the few pieces of one item, some cancel, and a supplier brings more."""

from __future__ import annotations

import asyncio
import random
from itertools import count

from tests.faults.clients import Clients, Request
from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.writing import Writer

ITEMS = [f"item{number}" for number in range(4)]
PIECES = 12
BURST = 6
"""How many clients want the same item at a time."""
OFTEN, SUPPLIED, CANCELLED = 0.2, 0.1, 0.4
"""How many steps have a burst, a supply, a cancellation. Each order is several records and a charge."""
LATEST = 30
"""Cancellations are of one of the latest orders: some of these are requested, some valid, some at an end."""


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    serials, clients = count(2_000_000), Clients(writer.poster, chance)
    placed: list[str] = []

    async def supply(item: str, pieces: int) -> None:
        await writer.send(f"{prefix}.supplies", item, {"item": item, "pieces": pieces, "serial": next(serials)})

    async def place(item: str) -> None:
        serial = next(serials)
        placed.append(f"o{serial}")
        body = {"order_id": f"o{serial}", "item": item, "pieces": chance.randint(1, 3), "serial": serial}
        await clients.ask(Request("/sales", serial, body))

    async def cancel(order: str) -> None:
        serial = next(serials)
        await clients.ask(Request(f"/sales/{order}/cancel", serial, {"serial": serial}))

    async def begin() -> None:
        await asyncio.gather(*(supply(item, PIECES) for item in ITEMS))

    async def step() -> None:
        acts = []
        if chance.random() < OFTEN:
            item = chance.choice(ITEMS)
            acts += [place(item) for _ in range(BURST)]
        if chance.random() < SUPPLIED:
            acts.append(supply(chance.choice(ITEMS), chance.randint(2, 6)))
        if placed and chance.random() < CANCELLED:
            acts.append(cancel(chance.choice(placed[-LATEST:])))
        if chance.random() < OFTEN:
            acts.append(clients.again(BURST))
        await asyncio.gather(*acts)

    return Load(begin, step, clients.finish)
