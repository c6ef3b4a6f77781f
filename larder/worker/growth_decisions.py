"""When a phase of a growth is over, and with which records the next one begins. Pure; `driving` measures and writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from aiokafka.structs import TopicPartition

from larder.declaring.generations import Generation
from larder.declaring.growth import Filled, Growth, GrowthPhase, encode
from larder.group.peers import Peer
from larder.kafka.committed import Committed

Ends = Mapping[TopicPartition, int]
"""The ends of all records, also of those in open transactions: what is written there may still count."""


class EncodedRecord(NamedTuple):
    """A record for the topic of the growth."""

    key: bytes
    value: bytes


def moved(growth: Growth, phase: GrowthPhase, now: float, *, step: int = 0, reason: str = "") -> Growth:
    """Return a growth in another phase; `step` is 1 if the workers have to join their group with another plan."""
    return msgspec.structs.replace(growth, phase=phase, began=now, step=growth.step + step, reason=reason)


def work_by(peers: Collection[Peer] | None, step: int) -> bool:
    """Whether all members of the group work by the plan of that step; no if there are none, or it rebalances."""
    return bool(peers) and all(peer.step == step for peer in peers or ())


def all_processed(committed: Mapping[TopicPartition, Committed], ends: Ends) -> bool:
    """Whether the group has committed all records up to these ends."""
    return all(tp in committed and committed[tp].offset >= end for tp, end in ends.items())


def all_copied(committed: Mapping[TopicPartition, Committed], ends: Ends, number: int) -> bool:
    """Whether all is copied into generation `number`; an offset of before says nothing about that."""
    ours = {tp: each for tp, each in committed.items() if each.origin.generation == number}
    return all_processed(ours, ends)


def all_filled(filled: Iterable[Filled], peers: Collection[Peer], step: int, group: int) -> bool:
    """Whether each member has reported, in that generation of the group, that its mirrors have all rows."""
    workers = {each.worker for each in filled if (each.step, each.group) == (step, group)}
    return {peer.worker for peer in peers} <= workers


def floors(before: Mapping[str, int], ends: Mapping[str, Sequence[int]]) -> Mapping[str, int]:
    """Return, by state, a revision that no row of it ever had, from the ends of its partitions.

    A revision rises by one with each record of its partition.
    """
    return {name: before.get(name, 0) + 1 + max(each) for name, each in ends.items()}


def switched(growth: Growth, ends: Ends, floors: Mapping[str, int], now: float) -> Growth:
    """Return the growth with its generation as it begins behind these ends of its topics."""
    counts = Counter(tp.topic for tp in ends)
    heads = {name: tuple(ends[TopicPartition(name, n)] for n in range(count)) for name, count in counts.items()}
    generation = msgspec.structs.replace(growth.generation, at=growth.at, heads=heads, floors=floors)
    phase = GrowthPhase.FILLING if generation.filled else GrowthPhase.DONE
    return msgspec.structs.replace(moved(growth, phase, now, step=1), generation=generation)


def refused(id_: str, step: int, current: Generation, why: Sequence[str], now: float, highest: int) -> Growth:
    """Return the answer to a request that cannot be granted."""
    return Growth(id_, step, GrowthPhase.REFUSED, current, now, now, reason="; ".join(why), highest=highest)


def records_of(before: GrowthPhase, growth: Growth) -> list[EncodedRecord]:
    """Return the records that begin a phase; when all is copied, also the one that switches the workers."""
    record, generation = EncodedRecord(growth.key, encode(growth)), growth.generation
    if before is not GrowthPhase.COPYING or growth.phase is GrowthPhase.CANCELLED:
        return [record]
    return [EncodedRecord(b"%d switch" % generation.number, generation.encode()), record]
