"""The load of bookings: clients at any worker, most with a key, who repeat a request until they know its outcome."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from itertools import count

from tests.faults.bookings_judging import TOLD
from tests.faults.parts import Load
from tests.faults.plan import WORKERS, Plan
from tests.faults.writing import Writer

SHOWS = [f"show{number}" for number in range(6)]
SEATS = 40
CLIENTS = 4
"""How many clients book at a time."""
FINISH_SECONDS = 40.0
"""Time for the clients to learn what their requests came to, after all faults: a session, a broker's start."""


def load(writer: Writer, _: Plan, prefix: str, chance: random.Random) -> Load:
    serials = count(1_000_000)
    open_: dict[str, tuple[int, dict[str, object]]] = {}

    async def add(show: str, seats: int) -> None:
        event = {"show": show, "seats": seats, "serial": next(serials)}
        await writer.send(f"{prefix}.additions", show, event)

    async def book() -> None:
        serial = next(serials)
        body = {"show": chance.choice(SHOWS), "serial": serial, "seats": chance.randint(1, 2)}
        if chance.random() < 0.3:
            await writer.poster.post(chance.choice(WORKERS), "/bookings", serial, body)
            return
        once = f"booking {serial} {uuid.UUID(int=chance.getrandbits(128))}"
        open_[once] = serial, body
        await asyncio.gather(*(send(once) for _ in range(chance.choice((1, 1, 1, 2)))))

    async def send(once: str) -> None:
        serial, body = open_[once]
        answer = await writer.poster.post(chance.choice(WORKERS), "/bookings", serial, body, once)
        if answer.status in TOLD:
            open_.pop(once, None)

    async def begin() -> None:
        await asyncio.gather(*(add(show, SEATS) for show in SHOWS))

    async def step() -> None:
        more = [add(chance.choice(SHOWS), 5)] if chance.random() < 0.1 else []
        again = [send(once) for once in list(open_)[:CLIENTS]] if chance.random() < 0.1 else []
        await asyncio.gather(*more, *again, *(book() for _ in range(CLIENTS)))

    async def end() -> None:
        """Repeat what has no answer yet: at the end, each client knows."""
        deadline = time.monotonic() + FINISH_SECONDS
        while open_ and time.monotonic() < deadline:
            await asyncio.gather(*(send(once) for once in list(open_)[:50]))
            await asyncio.sleep(0.1)

    return Load(begin, step, end)
