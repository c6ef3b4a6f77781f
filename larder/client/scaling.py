"""Asks the workers of a service to change its number of partitions, and follows how far they have come.

The workers do it, and go on if the command ends before they have. See `larder.declaring.growth`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import starmap
from typing import Any, Final, NamedTuple
from uuid import uuid4

from aiokafka.structs import TopicPartition

from larder.clock import now
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.declaring.facts import growth_name
from larder.declaring.generations import placed
from larder.declaring.growth import OPEN, UNDER_WAY, Cancel, GrowthPhase, GrowthState, ScaleRequest, copies
from larder.declaring.problems import Problem
from larder.declaring.service import Service
from larder.declaring.topology import topics_of
from larder.group.peers import GroupMember, Peer, read_peers
from larder.kafka.admin import Cluster
from larder.kafka.readers import reader, spans
from larder.kafka.retrying import within
from larder.worker.growth_checks import older_workers
from larder.worker.growth_log import GrowthRecords, read_growth, read_if_written, write_record

POLL_SECONDS: Final = 0.5
"""The interval at which the command looks how far a growth has come."""

REBALANCE_SECONDS: Final = 60.0
"""How long the command waits for the end of a rebalance, to see which workers there are."""


class GrowthProgress(NamedTuple):
    """How far a growth has come: its records, and the offsets that are copied, of how many, while it copies.

    withdrawn  why no worker will begin with what was requested; "" if one has begun, or will.
    """

    state: GrowthState
    copied: int = 0
    of: int = 0
    withdrawn: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        if self.withdrawn:
            return {"phase": GrowthPhase.CANCELLED.value, "reason": self.withdrawn}
        growth = self.state.growth
        return {"phase": "none"} if growth is None else {**growth.status(), "copied": self.copied, "to_copy": self.of}


async def scale(
    connection: Connection, service: Service, partitions: int, within: float, report: Callable[[GrowthProgress], None]
) -> GrowthProgress:
    """Ask for that number of partitions, and wait until the workers have refused it, cancelled it, or done it.

    `within` is how many seconds it may take until it switches. Raise MistakeError if nobody would do it.
    """
    async with Cluster(connection) as cluster:
        known = await read_if_written(cluster, service.name)
        if known is None:
            raise MistakeError(
                Problem(
                    f"service {service.name}", "is scaled where it joins or decides by partition, and once it has run",
                    f"no topic {growth_name(service.name)}", "start a worker, or add partitions to the topics it reads",
                )
            )  # fmt: skip
        await _require_workers(cluster, service)
    if (found := _under_way(known.state)) is not None:
        do = f"wait, follow it with larder scale {service.name}, or cancel it with --cancel"
        raise MistakeError(Problem(f"service {service.name}", "is scaled by one request at a time", found, do))
    request = ScaleRequest(uuid4().hex, partitions, within, now())
    offset = await write_record(connection, service.name, request)
    return await _until_ended(connection, service, request.id, report, offset)


async def follow(connection: Connection, service: Service, report: Callable[[GrowthProgress], None]) -> GrowthProgress:
    """Wait until the growth that has begun, if any, has ended."""
    state = (await _known(connection, service)).state
    last = state.asked or state.growth
    return GrowthProgress(state) if last is None else await _until_ended(connection, service, last.id, report)


async def cancel(connection: Connection, service: Service, report: Callable[[GrowthProgress], None]) -> GrowthProgress:
    """Cancel the growth that has begun; raise MistakeError if there is none, or if it has switched."""
    state = (await _known(connection, service)).state
    if (request := state.asked) is not None:
        offset = await write_record(connection, service.name, Cancel(request.id))
        return await _until_ended(connection, service, request.id, report, offset)
    growth = state.growth
    if growth is None or growth.phase not in OPEN:
        found = "none that has begun" if growth is None else f"one that is {growth.phase.value}"
        requires = "a growth is cancelled until it switches"
        raise MistakeError(Problem(f"service {service.name}", requires, found, "scale it back instead"))
    await write_record(connection, service.name, Cancel(growth.id))
    return await _until_ended(connection, service, growth.id, report)


async def tidy(connection: Connection, service: Service) -> list[str]:
    """Delete the internal topics of earlier generations, and of cancelled ones; return their names.

    Raise MistakeError while dead letters from there are open, which are replayed from these topics.
    """
    known = await _known(connection, service)
    if known.generation is None or known.state.phase in UNDER_WAY:
        raise MistakeError(
            Problem(f"service {service.name}", "is tidied once it has been scaled", "a growth under way", "wait for it")
        )
    async with Cluster(connection) as cluster:
        current = {use.name for use in topics_of(placed(service, known.generation))}
        old = set[str]()
        for number in range(1, known.highest + 1):
            # All topics of a generation pass through internal ones, whatever it read as it was.
            other = known.generation.of_number(number)
            old |= {use.name for use in topics_of(placed(service, other)) if use.internal}
        gone = sorted((await cluster.facts(sorted(old - current))).keys())
        await _require_no_letters(connection, service, gone)
        await cluster.delete(gone)
        return gone


async def _require_no_letters(connection: Connection, service: Service, topics: list[str]) -> None:
    from larder.dead_letters.reading import list_letters  # noqa: PLC0415 - a room above

    page = await list_letters(connection, service.name, 1, None, lambda letter: letter.id.topic in topics)
    if page.letters:
        raise MistakeError(
            Problem(
                f"service {service.name}", "keeps its old topics while dead letters from there are open",
                str(page.letters[0].id), f"replay or discard them: larder dead-letters list {service.name}",
            )
        )  # fmt: skip


async def _known(connection: Connection, service: Service) -> GrowthRecords:
    async with Cluster(connection) as cluster:
        return await read_if_written(cluster, service.name) or GrowthRecords()


async def _require_workers(cluster: Cluster, service: Service) -> None:
    workers = await _workers(cluster, service.name)
    if not workers:
        raise MistakeError(
            Problem(f"service {service.name}", "is scaled by its workers", "none that runs", "start a worker")
        )
    if older := sorted(each.worker for each in workers if not each.knows_growth):
        raise MistakeError(older_workers(service.name, older))


async def _workers(cluster: Cluster, service: str) -> list[Peer]:
    """Return the workers of a service; wait while their group rebalances."""
    async with within(REBALANCE_SECONDS, f"the end of a rebalance of group {service}"):
        while (reports := await cluster.reports(service)) is None:  # noqa: ASYNC110 - only the broker knows
            await asyncio.sleep(POLL_SECONDS)
    return read_peers(service, starmap(GroupMember, reports))


async def _until_ended(
    connection: Connection, service: Service, id_: str, report: Callable[[GrowthProgress], None], offset: int = -1
) -> GrowthProgress:
    """Follow a request until it has ended. What the records say counts once they have been read past that offset.

    The transaction of a worker that was killed can hide a new record for some seconds.
    """
    while True:
        known = await read_growth(connection, service.name)
        growth = known.state.growth
        if growth is not None and growth.id == id_:
            progress = GrowthProgress(known.state, *await _copied(connection, service, known))
            report(progress)
            if growth.phase not in UNDER_WAY:
                return progress
        elif known.end > offset and (why := _withdrawn(known.state, id_)):
            return GrowthProgress(known.state, withdrawn=why)
        await asyncio.sleep(POLL_SECONDS)


async def _copied(connection: Connection, service: Service, known: GrowthRecords) -> tuple[int, int]:
    """Return how many offsets are copied, of how many."""
    growth, current = known.state.growth, known.generation
    if growth is None or current is None or growth.phase is not GrowthPhase.COPYING:
        return 0, 0
    copied = copies(placed(service, current), placed(service, growth.generation))
    async with Cluster(connection) as cluster:
        facts = await cluster.facts([each.topic for each in copied])
        committed = await cluster.committed(service.name)
    tps = [TopicPartition(name, number) for name, each in facts.items() for number in range(each.partitions)]
    async with reader(connection) as consumer:
        logs = await spans(consumer, tps)
    mine = {tp: each for tp, each in committed.items() if each.origin.generation == growth.generation.number}
    done = sum(mine[tp].offset - span.begin for tp, span in logs.items() if tp in mine)
    return done, sum(span.end - span.begin for span in logs.values())


def _withdrawn(state: GrowthState, id_: str) -> str:
    """Return why no worker will begin with a request; "" if one can."""
    if state.request is None or state.request.id != id_:
        return "another request has taken its place"
    return "by command, before a worker began" if state.cancelled == id_ else ""


def _under_way(state: GrowthState) -> str | None:
    """Return what a new request would have to wait for; None if there is nothing."""
    if state.asked is not None:
        return "one that no worker has begun yet"
    return f"one that is {state.phase.value}" if state.phase in UNDER_WAY else None
