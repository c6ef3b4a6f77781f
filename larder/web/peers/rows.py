"""Gets single rows from the worker that has them: this one, the one with the partition, or a standby.

The worker with the partition is asked first. If it is unreachable, or not sure yet, a copy answers, and the answer says
so. If another worker contradicts the directory, the broker is asked once for a new one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from larder.declaring.problems import Problem
from larder.queries.lookup_errors import UnservedError
from larder.queries.routing import candidates, is_mine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.local_tables.table import LocalTable
    from larder.web.peers.client import Hopped, Hopping
    from larder.web.sources import Sources

ROUTE_SECONDS = 3.0
"""The timeout of all attempts on other workers, besides the time that they may wait for a write."""

CONTRADICTIONS = frozenset({"not-here", "no-such-table", "no-such-address"})
"""The problems with which a worker answers if it is the wrong one."""

NO_ANSWERS = CONTRADICTIONS | {"recovering", "unserved", "too-busy", "defect", "too-stale", "behind"}
"""The problems after which a copy may still have the row."""


class Route(NamedTuple):
    """The result of asking others: a usable answer, or else the best unusable one."""

    answer: Hopped | None
    refusal: Hopped | None


async def route(  # noqa: PLR0913, PLR0917 - what is asked, of whom, and how long
    here: Sources, hopping: Hopping, held: LocalTable, partition: int, path: str, wait: float
) -> Route:
    """Request `path` from the worker that processes `partition`; then, if there is no copy here, from a standby."""
    refusal: Hopped | None = None
    copy_here = partition in held.partitions
    try:
        async with asyncio.timeout(ROUTE_SECONDS + wait):
            tried: set[tuple[str, str]] = set()
            for refresh in (False, True):
                peers = await here.directory.peers(refresh=refresh)
                for peer in candidates(peers, held.stored.topic.name, partition, here.worker):
                    stands_by = not peer.processes(held.stored.topic.name, partition)
                    if (peer.worker, peer.web) in tried or (stands_by and (copy_here or not refresh)):
                        continue
                    tried.add((peer.worker, peer.web))
                    answer = await hopping.ask(peer, path, HOP_WAIT + wait)
                    if answer is not None and answer.kind not in NO_ANSWERS:
                        return Route(answer, None)
                    if answer is not None and answer.kind not in CONTRADICTIONS:
                        refusal = answer
                if refusal is not None and copy_here:
                    break
    except TimeoutError:
        pass
    return Route(None, refusal)


HOP_WAIT = 1.5
"""Seconds for one worker: two may be asked one after the other."""


def is_known_as_mine(here: Sources, held: LocalTable, partition: int) -> bool:
    """Return whether this worker must answer: by its store, or by the last assignment while no broker answers."""
    if is_mine(held, partition):
        return True
    if partition not in held.partitions or held.state(partition).stands_by:
        return False
    topic = held.stored.topic.name
    return any(peer.worker == here.worker and peer.processes(topic, partition) for peer in here.directory.known)


def unserved(held: LocalTable, asked: str, partitions: Sequence[int]) -> UnservedError:
    """Return the error for partitions that no worker serves now."""
    named = ", ".join(map(str, partitions))
    word = "partition" if len(partitions) == 1 else "partitions"
    problem = Problem(
        f"table {held.topic.name}, {asked}",
        "requires a worker that serves the partition",
        f"no worker that answers for {word} {named}",
        "ask again when it has been handed over, or start a worker",
    )
    return UnservedError(problem, partition=partitions[0], partitions=list(partitions), state="unserved")
