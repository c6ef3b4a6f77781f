"""The load of the stock: delivers pieces, and requests some for good and some until a time."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import count
from typing import Any

from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.writing import Writer

PRODUCTS = [f"s{number}" for number in range(8)]
PIECES = 30
REQUESTS = 2  # of one step


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    serials = count()

    async def deliver(product: str, pieces: int) -> None:
        event = {"product_id": product, "pieces": pieces, "serial": next(serials)}
        await writer.send(f"{prefix}.deliveries", product, event)

    async def request() -> None:
        serial = next(serials)
        event: dict[str, Any] = {
            "request_id": f"r{serial}",
            "product_id": chance.choice(PRODUCTS),
            "pieces": chance.randint(1, 3),
            "serial": serial,
            # Most pieces are given back, so that there is always something to decide.
            "until": round(time.time() + chance.uniform(0.2, 3), 3) if chance.random() < 0.8 else 0.0,
        }
        await writer.send(f"{prefix}.requests", f"r{serial}", event)

    async def begin() -> None:
        await asyncio.gather(*(deliver(product, PIECES) for product in PRODUCTS))

    async def step() -> None:
        more = [deliver(chance.choice(PRODUCTS), 1)] if chance.random() < 0.1 else []
        await asyncio.gather(*more, *(request() for _ in range(REQUESTS)))

    async def end() -> None:
        """Do nothing: this load holds nothing back."""

    return Load(begin, step, end)
