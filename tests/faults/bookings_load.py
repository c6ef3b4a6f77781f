"""The load of bookings: clients who book seats, and an owner who adds some."""

from __future__ import annotations

import asyncio
import random
from itertools import count

from tests.faults.clients import Clients, Request
from tests.faults.parts import Load
from tests.faults.plan import Plan
from tests.faults.writing import Writer

SHOWS = [f"show{number}" for number in range(6)]
SEATS = 40
CLIENTS = 4
"""How many clients book at a time."""


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    serials, clients = count(1_000_000), Clients(writer.poster, chance)

    async def add(show: str, seats: int) -> None:
        event = {"show": show, "seats": seats, "serial": next(serials)}
        await writer.send(f"{prefix}.additions", show, event)

    async def book() -> None:
        serial = next(serials)
        body = {"show": chance.choice(SHOWS), "serial": serial, "seats": chance.randint(1, 2)}
        await clients.ask(Request("/bookings", serial, body))

    async def begin() -> None:
        await asyncio.gather(*(add(show, SEATS) for show in SHOWS))

    async def step() -> None:
        more = [add(chance.choice(SHOWS), 5)] if chance.random() < 0.1 else []
        again = [clients.again(CLIENTS)] if chance.random() < 0.1 else []
        await asyncio.gather(*more, *again, *(book() for _ in range(CLIENTS)))

    return Load(begin, step, clients.finish)
