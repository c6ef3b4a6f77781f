"""Which worker answers for a partition: this one, the one that processes it, or a standby. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from larder.store import Phase

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from larder.group.peers import Peer
    from larder.local_tables.table import LocalTable


def is_mine(held: LocalTable, partition: int) -> bool:
    """Return whether this worker processes a partition, by the state of its own store; always for a global table."""
    if held.held == "global":
        return True
    if partition not in held.partitions:
        return False
    state = held.state(partition)
    return not state.stands_by and state.phase in {Phase.CAUGHT_UP, Phase.RECOVERING}


def candidates(peers: Iterable[Peer], topic: str, partition: int, me: str) -> Iterable[Peer]:
    """Yield the workers other than `me` that can answer for a partition: the one that processes it, then standbys."""
    others = [peer for peer in peers if peer.worker != me and peer.web]
    yield from (peer for peer in others if peer.processes(topic, partition))
    yield from (peer for peer in others if partition in peer.standby.get(topic, ()))


class Shares(NamedTuple):
    """Partitions by the worker that answers for them, and those that no worker answers for."""

    here: Sequence[int]
    elsewhere: Sequence[tuple[Peer, Sequence[int]]]
    nowhere: Sequence[int]


def share(
    held: LocalTable, partitions: Iterable[int], peers: Sequence[Peer], me: str, unreachable: Collection[str] = ()
) -> Shares:
    """Assign each partition to the worker that processes it, or else to one that has a copy.

    `unreachable` are workers that did not answer. This worker's copy is preferred to that of another one.
    """
    topic = held.stored.topic.name
    open_ = held.partitions
    here, nowhere = [], []
    elsewhere: defaultdict[str, list[int]] = defaultdict(list)
    by_name = {peer.worker: peer for peer in peers}
    for partition in partitions:
        found = [peer for peer in candidates(peers, topic, partition, me) if peer.worker not in unreachable]
        if is_mine(held, partition):
            here.append(partition)
        elif found and (found[0].processes(topic, partition) or partition not in open_):
            elsewhere[found[0].worker].append(partition)
        elif partition in open_:
            here.append(partition)
        else:
            nowhere.append(partition)
    return Shares(here, [(by_name[name], numbers) for name, numbers in elsewhere.items()], nowhere)
