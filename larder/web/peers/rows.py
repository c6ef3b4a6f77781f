"""Single rows and many keys, from whichever worker can say: this one, the owner of the partition, or a standby.

The owner is asked first. When it cannot be reached, or does not know yet, a copy answers and says that it is one. What
another worker contradicts is asked of the broker anew, once.
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
"""For all that is tried to find an answer elsewhere, beside what the other one is asked to wait for."""

CONTRADICTIONS = frozenset({"not-here", "no-such-table", "no-such-address"})
"""By these a worker says that it is not the one."""

NO_ANSWERS = CONTRADICTIONS | {"recovering", "unserved", "too-busy", "defect", "too-stale", "behind"}
"""After these a copy may still have what is asked for."""


class Route(NamedTuple):
    """What came of asking others: an answer that will do, or the best of those that will not."""

    answer: Hopped | None
    refusal: Hopped | None


async def route(  # noqa: PLR0913, PLR0917 - what is asked, of whom, and how long
    here: Sources, hopping: Hopping, held: LocalTable, partition: int, path: str, wait: float
) -> Route:
    """Ask who processes `partition` for `path`; then, when this worker has no copy, who stands by."""
    refusal: Hopped | None = None
    copy_here = partition in held.partitions
    try:
        async with asyncio.timeout(ROUTE_SECONDS + wait):
            tried: set[tuple[str, str]] = set()
            for anew in (False, True):
                peers = await here.directory.peers(anew=anew)
                for peer in candidates(peers, held.topic.name, partition, here.worker):
                    stands_by = not peer.processes(held.topic.name, partition)
                    if (peer.worker, peer.web) in tried or (stands_by and (copy_here or not anew)):
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
"""Seconds for one worker: two of them may be asked in turn."""


def is_known_as_mine(here: Sources, held: LocalTable, partition: int) -> bool:
    """Say whether this worker is to answer: its store says so, or the group did last, while no broker answers."""
    if is_mine(held, partition):
        return True
    if partition not in held.partitions or held.state(partition).stands_by:
        return False
    topic = held.topic.name
    return any(peer.worker == here.worker and peer.processes(topic, partition) for peer in here.directory.known)


def unserved(held: LocalTable, asked: str, partitions: Sequence[int]) -> UnservedError:
    """Say that nobody serves partitions now."""
    named = ", ".join(map(str, partitions))
    word = "partition" if len(partitions) == 1 else "partitions"
    problem = Problem(
        f"table {held.topic.name}, {asked}",
        "requires a worker that serves the partition",
        f"no worker that answers for {word} {named}",
        "ask again when it has been handed over, or start a worker",
    )
    return UnservedError(problem, partition=partitions[0], partitions=list(partitions), state="unserved")
