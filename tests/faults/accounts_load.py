"""The load of the accounts: opens each account with an amount, then transfers amounts between them."""

from __future__ import annotations

import asyncio
import random
from itertools import count

from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.writing import Writer

ACCOUNTS = [f"a{number}" for number in range(12)]
AMOUNT = 20
TRANSFERS = 2  # of one step


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    serials = count()

    async def open_account(account: str) -> None:
        event = {"account": account, "amount": AMOUNT, "serial": next(serials)}
        await writer.send(f"{prefix}.openings", account, event)

    async def transfer() -> None:
        serial = next(serials)
        source, target = chance.sample(ACCOUNTS, 2)
        event = {"source": source, "target": target, "amount": chance.randint(1, 12), "serial": serial}
        await writer.send(f"{prefix}.transfers", f"t{serial}", {"transfer_id": f"t{serial}", **event})

    async def begin() -> None:
        await asyncio.gather(*(open_account(account) for account in ACCOUNTS))

    async def step() -> None:
        await asyncio.gather(*(transfer() for _ in range(TRANSFERS)))

    async def end() -> None:
        """Do nothing: this load holds nothing back."""

    return Load(begin, step, end)
