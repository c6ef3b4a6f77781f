"""One seed from its topics to its verdict: reads from top to bottom in the order in which things happen."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiokafka.errors import KafkaError

from tests.faults import faults, shop
from tests.faults.asking import TIMEOUT, Asker
from tests.faults.field import Field
from tests.faults.history import Violation
from tests.faults.judging import violations
from tests.faults.logs import Reader, reading
from tests.faults.plan import WORKERS, Plan
from tests.faults.rig import Rig
from tests.faults.writing import PAUSE_SECONDS, Checkout, Owner, Writer, producing
from tests.support.topics import COMPACTED, create

FIRST_SECONDS = 45.0
"""For the first result, from the start of the workers; two seconds on an idle machine."""

AFTER_SECONDS = 1.0
"""Load goes on for so long after the last fault has ended."""

QUIET_SECONDS = 45.0
"""For everything to come to rest after the faults: a broker's start, a session, a transaction's timeout (10 s)."""


class Trial:
    """The parts of one seed while it runs."""

    def __init__(
        self, field: Field, reader: Reader, asker: Asker, owners: tuple[Owner, Owner], checkout: Checkout
    ) -> None:
        self.field = field
        self.reader = reader
        self.asker = asker
        self.owners = owners
        self.checkout = checkout

    async def run(self) -> list[Violation]:
        for owner in self.owners:
            await owner.begin()
        for name in WORKERS:
            self.field.start(name)
        async with asyncio.TaskGroup() as beside:
            tasks = [
                beside.create_task(self._ask()),
                beside.create_task(self._read()),
                beside.create_task(self._write()),
            ]
            await self._trouble()
            await asyncio.sleep(AFTER_SECONDS)
            for task in tasks:
                task.cancel()
        await self.checkout.end()
        self.field.history.note("load ended")
        found = await self._verdict()
        await asyncio.gather(*(self.field.stop(name) for name in self.field.running()))
        return found or self.field.history.violations

    async def _trouble(self) -> None:
        """All faults, each at its time; then all workers run again."""
        plan = self.field.plan
        if not plan.early:
            await self._first_result()
        async with asyncio.TaskGroup() as group:
            for fault in plan.faults:
                group.create_task(faults.run(self.field, fault))
        self.field.rig.heal()
        for name in WORKERS:
            self.field.look(name)
            self.field.start(name)
        self.field.history.note("healed")

    async def _first_result(self) -> None:
        deadline = time.monotonic() + FIRST_SECONDS
        outputs = {self.field.name("enriched"), self.field.name("fulfilled")}
        while not outputs <= {record.topic for record in self.reader.seen}:
            if time.monotonic() > deadline:
                self.field.history.violations.append(Violation("hangs", f"no result in {FIRST_SECONDS:.0f} s"))
                return
            await asyncio.sleep(0.1)

    async def _write(self) -> None:
        while True:
            await asyncio.gather(*(owner.step() for owner in self.owners), self.checkout.step())
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self) -> None:
        keys = {key for owner in self.owners for key in owner.keys}
        tables = [self.field.name(name) for name in shop.OWNERS]
        await self.asker.go_on(WORKERS, tables, keys, self.field.plan.seed)

    async def _read(self) -> None:
        """Follow the topics, so that what is compacted away has been seen."""
        while True:
            try:
                await self.reader.follow(self.field.prefix)
                for _ in range(10):
                    await self.reader.read()
            except KafkaError:
                await asyncio.sleep(0.2)  # the broker is away

    async def _verdict(self) -> list[Violation]:
        """Judge until nothing is wrong, or the time is over: what is under way is given time, nothing else."""
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            late = time.monotonic() > deadline
            try:
                found = await self._unsettled() or await self._judged()
            except (KafkaError, TimeoutError) as error:
                found = [Violation("unsettled", f"the broker says {error!r}")]
            if late or not found or any(each.kind not in PATIENCE for each in found):
                return found
            await asyncio.sleep(0.3)

    async def _unsettled(self) -> list[Violation]:
        """The last stable offsets meet the high watermarks, the group has no lag."""
        tps = await self.reader.follow(self.field.prefix)
        stable, high = await self.reader.ends(tps)
        await self.reader.read_to(stable, 10)
        committed = await self.reader.offsets(self.field.prefix)
        inputs = (self.field.name("orders"), f"{self.field.prefix}.{self.field.prefix}.orders.by.product_id")
        found = [
            Violation("unsettled", f"{tp.topic}/{tp.partition}: last stable offset {stable[tp]} of {high[tp]}")
            for tp in tps
            if stable[tp] != high[tp]
        ]
        return found + [
            Violation("unsettled", f"{tp.topic}/{tp.partition}: committed {committed.get(tp, 0)} of {high[tp]}")
            for tp in tps
            if tp.topic in inputs and committed.get(tp, 0) < high[tp]
        ]

    async def _judged(self) -> list[Violation]:
        await self._ask_for_all()
        return violations(self.field.plan, self.field.prefix, self.field.history, self.reader.seen)

    async def _ask_for_all(self) -> None:
        """Each row of each worker, now that all is quiet."""
        for owner, topic in zip(self.owners, shop.OWNERS, strict=True):
            for name in WORKERS:
                await asyncio.gather(*(self.asker.ask(name, self.field.name(topic), key) for key in owner.keys))


PATIENCE = frozenset({"unsettled", "lost", "waits"})
"""What may be a matter of time."""


@asynccontextmanager
async def prepared(rig: Rig, plan: Plan, prefix: str, directory: Path) -> AsyncIterator[Trial]:
    """A seed with its topics and its clients; no worker is left at the end."""
    await create(rig.kafka, {f"{prefix}.{name}": shop.PARTITIONS for name in shop.OWNERS}, COMPACTED)
    await create(rig.kafka, {f"{prefix}.orders": shop.PARTITIONS})
    appended = {"message.timestamp.type": "LogAppendTime"}
    await create(rig.kafka, {f"{prefix}.{name}": shop.PARTITIONS for name in shop.EVENTS[1:]}, appended)
    field = Field(rig, plan, prefix, directory, shop.module(plan, prefix))
    chance = random.Random(plan.seed)  # noqa: S311 - nothing is secret here
    try:
        async with (
            producing(rig.kafka) as producer,
            reading(rig.kafka) as reader,
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
        ):
            writer = Writer(producer, field.history)
            customers = Owner(writer, plan, f"{prefix}.customers", "customer_id", chance)
            products = Owner(writer, plan, f"{prefix}.products", "product_id", chance)
            owners = (customers, products)
            checkout = Checkout(writer, plan, f"{prefix}.orders", owners, chance)
            yield Trial(field, reader, Asker(session, field.ports, field.history), owners, checkout)
    finally:
        field.close()
