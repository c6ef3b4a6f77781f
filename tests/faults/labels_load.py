"""The load of the labels: clients and addresses appear, change and vanish, and addresses move between clients."""

from __future__ import annotations

import asyncio
import random

from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.shop_load import Owner, keys
from tests.faults.writing import Writer


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    clients = Owner(writer, f"{prefix}.clients", "client_id", chance)
    addresses = Owner(
        writer, f"{prefix}.addresses", "address_id", chance, lambda: {"client_id": chance.choice(keys("c"))}
    )

    async def begin() -> None:
        await asyncio.gather(clients.begin(), addresses.begin())

    async def several() -> None:
        """Write one after the other: Larder promises nothing to an owner whose revisions decrease in the log."""
        for _ in range(3):
            await addresses.step()

    async def step() -> None:
        await asyncio.gather(clients.step(), several())

    async def end() -> None:
        """Do nothing: this load holds nothing back."""

    return Load(begin, step, end)
