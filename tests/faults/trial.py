"""One seed from its topics to its verdict, in the order of events from top to bottom."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiokafka.errors import KafkaError

from tests.faults import faults
from tests.faults.asking import TIMEOUT, Asker
from tests.faults.compaction import KEPT_MS
from tests.faults.field import Field
from tests.faults.fresh import be_away, begin_anew
from tests.faults.growing import MAY_BE, beyond, grow_one
from tests.faults.history import Violation
from tests.faults.logs import Ends, Reader, reading
from tests.faults.parts import GENERATION, Case, Load, Part, generation_of, module
from tests.faults.plan import WORKERS, Plan
from tests.faults.posting import Poster
from tests.faults.provider import providing
from tests.faults.registry import parts_of
from tests.faults.replaying import MAY_BE as REORDERED
from tests.faults.replaying import replay_all
from tests.faults.rig import Rig
from tests.faults.writing import Writer, producing
from tests.support.topics import COMPACTED, create

PARTITIONS = 4
FOREVER = {"retention.ms": "-1"}

MIRRORED_KEPT_MS = 120_000
"""How long a topic keeps deletions if workers read it through a mirror."""

STEP_SECONDS = 0.02
"""Pause between two steps of the load."""

FIRST_SECONDS = 120.0
"""Time for the first results after the start of the workers; two seconds on an idle machine."""

AFTER_SECONDS = 1.0
"""How long the load continues after the last fault."""

QUIET_SECONDS = 60.0
"""Time for the system to become idle after the faults: a broker's start, a session, a transaction's timeout (10 s)."""

HELD_BACK_SECONDS = 2.0
"""How long the load continues after a topic has grown: ten times the longest delivery."""

PATIENCE = frozenset({"unsettled", "lost", "waits", "silent"})
"""Violations that may resolve with time."""


class Trial:
    """The parts of one seed while it runs."""

    def __init__(
        self,
        field: Field,
        parts: Sequence[Part],
        loads: Sequence[Load],
        reader: Reader,
        asker: Asker,
        writer: Writer,
    ) -> None:
        self._writer = writer
        self.field = field
        self.reader = reader
        self._parts = parts
        self._loads = loads
        self._asker = asker
        self._rows = [(field.name(table), key) for part in parts for table in part.asked for key in part.asked[table]]

    async def run(self) -> list[Violation]:
        """Run the trial, and return the violations."""
        await asyncio.gather(*(load.begin() for load in self._loads))
        for name in WORKERS:
            self.field.start(name)
        async with asyncio.TaskGroup() as background:
            # Until the very end of the load: clients may repeat their requests for long.
            reading = background.create_task(self._read())
            activities = (self._ask(), *(self._load(load) for load in self._loads))
            tasks = [background.create_task(each) for each in activities]
            await self._trouble()
            await asyncio.sleep(AFTER_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await asyncio.gather(*(load.end() for load in self._loads))
            reading.cancel()
        self.field.history.note("load ended")
        found = await self._verdict()
        epilogues = {begin_anew: self.field.plan.anew, be_away: self.field.plan.absent}
        for epilogue in [each for each, planned in epilogues.items() if planned and not found]:
            await epilogue(self.field, self._writer, self._asker, self._rows)
            found = await self._verdict()
        if self.field.plan.replayed and not found:
            await replay_all(self.field)
            found = await self._verdict()
        if self.field.plan.grown and not found:
            found = await self._grown()
        if found:
            await self.field.tell_tasks()
        await asyncio.gather(*(self.field.stop(name) for name in self.field.running()))
        return found or self.field.history.violations

    def figures(self) -> Sequence[str]:
        """Return what the parts have counted."""
        return [each for part in self._parts for each in part.figures(self._case())]

    def _case(self) -> Case:
        return Case(self.field.plan, self.field.prefix, self.field.history, self.reader.seen)

    async def _trouble(self) -> None:
        """Run all faults, each at its time. Afterwards all workers run."""
        plan = self.field.plan
        if not plan.early:
            await self._first_results()
        async with asyncio.TaskGroup() as group:
            for fault in plan.faults:
                group.create_task(faults.run(self.field, fault))
        self.field.rig.heal()
        for name in WORKERS:
            self.field.look(name)
            self.field.start(name)
        self.field.history.note("healed")

    async def _first_results(self) -> None:
        deadline = time.monotonic() + FIRST_SECONDS
        results = {self.field.name(topic) for part in self._parts for topic in part.results}
        while absent := results - {record.topic for record in self.reader.seen}:
            if self.field.ended():
                return
            if time.monotonic() > deadline:
                what = f"nothing in {', '.join(sorted(absent))} after {FIRST_SECONDS:.0f} s"
                self.field.history.violations.append(Violation("hangs", what))
                return
            await asyncio.sleep(0.1)

    async def _load(self, load: Load) -> None:
        while True:
            await load.step()
            await asyncio.sleep(STEP_SECONDS)

    async def _ask(self) -> None:
        rows = [
            (self.field.name(table), key) for part in self._parts for table in part.asked for key in part.asked[table]
        ]
        await self._asker.go_on(WORKERS, rows, self.field.plan.seed)

    async def _read(self) -> None:
        """Read the topics continuously, so that records are read before they are compacted away."""
        while True:
            try:
                await self.reader.follow(self.field.prefix)
                for _ in range(10):
                    await self.reader.read()
            except KafkaError:
                await asyncio.sleep(0.2)  # the broker is down

    async def _verdict(self) -> list[Violation]:
        """Judge until nothing is wrong or the time is over. Only violations that may resolve with time get it.

        Topics are read one after the other, so that a transaction may appear in one topic but not yet in another.
        Therefore a violation counts only if it is found twice.
        """
        deadline = time.monotonic() + QUIET_SECONDS
        before: set[Violation] = set()
        while True:
            late = time.monotonic() > deadline
            try:
                found = await self._found()
            except (KafkaError, TimeoutError) as error:
                found = [Violation("unsettled", f"the broker reports {error!r}")]
            if late or not found or any(each.kind not in PATIENCE for each in before.intersection(found)):
                return found
            before = set(found)
            await asyncio.sleep(0.3)

    async def _grown(self) -> list[Violation]:
        """Add partitions to a topic of the service. What depends on it has to be held back, without violations."""
        if not await grow_one(self.field, self.field.plan.grown, PARTITIONS):
            return self.field.history.violations
        until = time.monotonic() + HELD_BACK_SECONDS
        while time.monotonic() < until:
            await asyncio.gather(*(load.step() for load in self._loads))
            await asyncio.sleep(STEP_SECONDS)
        await self._read_on()
        case = self._case()
        judged = [each for part in self._parts for each in part.judge(case) if each.kind not in MAY_BE]
        return judged + beyond(self.field, self.reader.seen, PARTITIONS)

    async def _found(self) -> list[Violation]:
        if self.field.history.violations:
            return self.field.history.violations
        if found := await self._unsettled() or await self._silent():
            return found
        await self._read_on()
        case = self._case()
        allowed = REORDERED if self.field.plan.replayed else frozenset()
        return [each for part in self._parts for each in part.judge(case) if each.kind not in allowed]

    async def _read_on(self) -> tuple[Ends, Ends]:
        """Read up to the last stable offsets. Return them and the high watermarks."""
        tps = await self.reader.follow(self.field.prefix)
        stable, high = await self.reader.ends(tps)
        await self.reader.read_to(stable, 10)
        return stable, high

    async def _unsettled(self) -> list[Violation]:
        """Yield a violation for each last stable offset below the high watermark, and for each lag of the group."""
        stable, high = await self._read_on()
        committed = await self.reader.offsets(self.field.prefix)
        growth = [each for each in self.reader.seen if each.topic == f"{self.field.prefix}.growth"]
        generation = generation_of(growth)
        inputs = {self.field.name(topic) for part in self._parts for topic in part.inputs}
        inputs = {topic.replace("{prefix}", self.field.prefix) for topic in inputs}
        found = [
            Violation("unsettled", f"{tp.topic}/{tp.partition}: last stable offset {stable[tp]} of {high[tp]}")
            for tp in stable
            if stable[tp] != high[tp]
        ]
        return found + [
            Violation("unsettled", f"{tp.topic}/{tp.partition}: committed {committed.get(tp, 0)} of {high[tp]}")
            for tp in stable
            if (tp.topic in inputs or _is_internal_input(tp.topic)) and committed.get(tp, 0) < high[tp]
            if _is_of(tp.topic, generation)
        ]

    async def _silent(self) -> list[Violation]:
        """Ask all workers for every row. At least one has to know it, or know that it does not exist."""
        found = []
        for table, key in self._rows:
            answers = await asyncio.gather(*(self._asker.ask(worker, table, key) for worker in self.field.running()))
            if not any(answer and answer.status in {200, 404} for answer in answers):
                found.append(Violation("silent", f"no worker knows of {key} in {table}"))
        return found


def _is_of(topic: str, generation: int) -> bool:
    """Return whether a topic is read in a generation: no internal one of others, whose rest was copied."""
    if (found := GENERATION.search(topic)) is not None:
        return int(found[0].removeprefix(".g")) == generation
    return generation == 1 or ".by." not in topic


def _is_internal_input(topic: str) -> bool:
    return topic.endswith(".replays") or (".by." in topic and not topic.endswith(".keys"))


@asynccontextmanager
async def prepared(rig: Rig, plan: Plan, prefix: str, directory: Path) -> AsyncIterator[Trial]:
    """Yield a trial with its topics and clients, and end all its workers after the block."""
    parts = parts_of(plan)
    # The broker's time dates records whose writer is unknown.
    appended = {"message.timestamp.type": "LogAppendTime"}
    # Nobody reads the sources of mirrors while workers are down, or are scaled, on a loaded machine.
    mirrored = plan.own or any(fault.name == "scale" for fault in plan.faults)
    kept = {"delete.retention.ms": str(MIRRORED_KEPT_MS if mirrored else KEPT_MS)}
    for topics, config in (
        ([topic for part in parts for topic in part.events], {}),
        ([topic for part in parts for topic in part.results], appended),
        ([topic for part in parts for topic in part.followed], {**COMPACTED, **appended, **kept}),
        ([topic for part in parts for topic in part.owned], {**COMPACTED, **appended}),
        ([topic.replace("{prefix}", prefix) for part in parts for topic in part.hops], {**appended, **FOREVER}),
    ):
        if topics:
            await create(rig.kafka, {f"{prefix}.{topic}": PARTITIONS for topic in topics}, config)
    owned = [f"{prefix}.{topic}" for part in parts for topic in part.owned]
    async with providing(plan.seed) as provider:
        field = Field(rig, plan, prefix, directory, module(parts, plan, prefix, provider.address), owned)
        field.history.charges, field.history.money = provider.charges, provider.money
        chance = random.Random(plan.seed)  # noqa: S311 - nothing is secret here
        try:
            async with (
                producing(rig.kafka) as producer,
                reading(rig.kafka) as reader,
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
            ):
                poster = Poster(session, field.ports, field.history)
                writer = Writer(producer, field.history, chance, poster, often=plan.duplicated)
                loads = [part.load(writer, plan, prefix, chance) for part in parts]
                yield Trial(field, parts, loads, reader, Asker(session, field.ports, field.history), writer)
        finally:
            field.close()
