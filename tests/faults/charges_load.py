"""The load of charges: invoices of a few customers, so that several of each wait for their turn."""

from __future__ import annotations

import asyncio
import random
from itertools import count

from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.writing import Writer

CUSTOMERS = [f"customer{number}" for number in range(16)]
OFTEN = 0.3
"""How many steps write an invoice. The invoices of a customer are charged one after the other, a few in a second."""


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    serials = count(1)

    async def add(customer: str) -> None:
        await writer.send(f"{prefix}.invoices", customer, {"customer": customer, "serial": next(serials)})

    async def begin() -> None:
        await asyncio.gather(*(add(customer) for customer in 2 * CUSTOMERS))

    async def step() -> None:
        if chance.random() < OFTEN:
            await add(chance.choice(CUSTOMERS))

    async def end() -> None:
        """Leave the rest to the service."""

    return Load(begin, step, end)
