"""Which worker answers for a partition: this one, the one that processes it, or one that stands by. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from larder.store import Phase

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from larder.group.peers import Peer
    from larder.local_tables.table import LocalTable


def is_mine(held: LocalTable, partition: int) -> bool:
    """Say whether this worker processes a partition, as far as its own store knows; of a global table, always."""
    if held.held == "global":
        return True
    if partition not in held.partitions:
        return False
    state = held.state(partition)
    return not state.stands_by and state.phase in {Phase.CAUGHT_UP, Phase.RECOVERING}


def candidates(peers: Iterable[Peer], topic: str, partition: int, me: str) -> Iterable[Peer]:
    """Give who may answer for a partition beside `me`: who processes it, then who stands by."""
    others = [peer for peer in peers if peer.worker != me and peer.web]
    yield from (peer for peer in others if peer.processes(topic, partition))
    yield from (peer for peer in others if partition in peer.standby.get(topic, ()))


class Shares(NamedTuple):
    """Partitions by who answers for them, and those for which nobody does."""

    here: Sequence[int]
    elsewhere: Sequence[tuple[Peer, Sequence[int]]]
    nowhere: Sequence[int]


def share(
    held: LocalTable, partitions: Iterable[int], peers: Sequence[Peer], me: str, unreachable: Collection[str] = ()
) -> Shares:
    """Share partitions out: to this worker what it processes, to others what they do, else to who has a copy.

    `unreachable` are workers that did not answer. A copy of this worker's comes before that of another one.
    """
    topic = held.topic.name
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
