"""The assignor: what members of a group tell its leader, what the leader tells them, and how it decides between.

Replaces Faust's (0.15.3), whose interface Faust's recovery uses and aiokafka calls, in the consumer's
thread. Topics with the same number of partitions and the same subscribers are co-partitioned: a partition's number
goes to one member for all of them. What members tell is JSON with a version: what a member of another version adds
is not looked at, what it lacks or what cannot be read counts as nothing, so that workers of two versions share a
group while they are replaced one by one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.structs import TopicPartition
from faust.assignor.partition_assignor import PartitionAssignor

from larder.group.balancing import MemberClaim, Share, share

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata
    from faust.types.tuples import TP

Partitions = dict[str, list[int]]
"""By topic."""


class MemberReport(msgspec.Struct):
    """What a member tells the leader: the last share that it was given, and how far its stores are.

    Of two that say that they have a partition, the one whose `round` is the later one is right.
    """

    version: int = 1
    round: int = 0
    active: Partitions = {}
    standby: Partitions = {}
    stored: dict[str, dict[int, int]] = {}
    asks: int = 0
    """Counts its requests for another assignment: a broker only reacts if something has changed."""
    web: str = ""
    """Where other workers reach its web port, as http://host:port."""


class Given(msgspec.Struct):
    """What the leader tells a member beside what it processes; `topics` are those that it knew it to read."""

    version: int = 1
    round: int = 0
    standby: Partitions = {}
    topics: list[str] = []


T = TypeVar("T", MemberReport, Given)


def read_told(content: bytes | None, kind: type[T]) -> T:
    """Read what a member tells, or is given."""
    try:
        return msgspec.json.decode(content or b"", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return kind()


class Assignor(PartitionAssignor):
    """`stored` gives the positions of this worker's stores; it is called in the consumer's thread."""

    def __init__(
        self, app: Any, stored: Callable[[], Mapping[TopicPartition, int]], *, standby: bool, web: str = ""
    ) -> None:
        super().__init__(app)
        self._web = web
        self._stored = stored
        self._standby = standby
        self._told = MemberReport()
        self._subscribed: frozenset[str] = frozenset()
        self.standbys: Collection[TopicPartition] = frozenset()
        self.is_outdated = False
        """The leader did not know what this member reads now: it has to be asked again."""

    @property
    def name(self) -> str:
        return "larder"

    @property
    def version(self) -> int:
        return 1

    def metadata(self, topics: set[str]) -> ConsumerProtocolMemberMetadata:
        self._subscribed = frozenset(topics)
        stored: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for tp, position in self._stored().items():
            stored[tp.topic][tp.partition] = position
        told = msgspec.structs.replace(self._told, stored=dict(stored), web=self._web)
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), msgspec.json.encode(told))

    def assign(
        self, cluster: ClusterMetadata, member_metadata: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        counts = {
            topic: len(cluster.partitions_for_topic(topic) or ())
            for member in member_metadata.values()
            for topic in member.subscription
        }
        reads = {name: frozenset(member.subscription) for name, member in member_metadata.items()}
        told = {name: read_told(member.user_data, MemberReport) for name, member in member_metadata.items()}
        active, standby = assign(counts, reads, told, standby=self._standby)
        latest = 1 + max(each.round for each in told.values())
        return {
            name: ConsumerProtocolMemberAssignment(
                self.version,
                [(topic, numbers) for topic, numbers in sorted(active[name].items())],
                msgspec.json.encode(Given(round=latest, standby=standby[name], topics=sorted(reads[name]))),
            )
            for name in member_metadata
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        given = read_told(assignment.user_data, Given)
        active = {topic: sorted(numbers) for topic, numbers in assignment.assignment}
        self.is_outdated = bool(given.topics) and self._subscribed != frozenset(given.topics)
        self._told = MemberReport(
            round=given.round, active=active, standby=given.standby, asks=self._told.asks + self.is_outdated
        )
        self.standbys = frozenset(
            TopicPartition(topic, number) for topic, numbers in given.standby.items() for number in numbers
        )

    def assigned_actives(self) -> set[TP]:
        """None of Faust's tables."""
        return set()

    def assigned_standbys(self) -> set[TP]:
        """None of Faust's tables."""
        return set()


def assign(
    counts: Mapping[str, int], reads: Mapping[str, frozenset[str]], told: Mapping[str, MemberReport], *, standby: bool
) -> tuple[Mapping[str, Partitions], Mapping[str, Partitions]]:
    """What each member processes, and what it stands by for: pure.

    `counts` are the partitions of each topic, `reads` the topics of each member. A topic that is not there is left
    out. Members that have least so far get the larger share of the next group of topics.
    """
    active: dict[str, Partitions] = {name: {} for name in reads}
    standbys: dict[str, Partitions] = {name: {} for name in reads}
    loads = Counter[str]()
    for topics, members in _groups(counts, reads):
        ordered = sorted(members, key=lambda name: (loads[name], name))
        shares = share(counts[topics[0]], _claims(topics, {name: told[name] for name in ordered}), standby=standby)
        for name, given in shares.items():
            loads[name] += len(given.active)
            _note(topics, given, active[name], standbys[name])
    return active, standbys


def _note(topics: Iterable[str], given: Share, active: Partitions, standbys: Partitions) -> None:
    for topic in topics:
        if given.active:
            active[topic] = sorted(given.active)
        if given.standby:
            standbys[topic] = sorted(given.standby)


def _groups(
    counts: Mapping[str, int], reads: Mapping[str, frozenset[str]]
) -> Iterable[tuple[list[str], frozenset[str]]]:
    """Topics that belong together, and their members."""
    groups: defaultdict[tuple[int, frozenset[str]], list[str]] = defaultdict(list)
    for topic, count in sorted(counts.items()):
        if count:
            groups[count, frozenset(name for name, topics in reads.items() if topic in topics)].append(topic)
    return [(topics, members) for (_, members), topics in groups.items()]


def _claims(topics: Collection[str], told: Mapping[str, MemberReport]) -> dict[str, MemberClaim]:
    """What members claim of a group; of several that say that they have a partition, the latest is right."""
    owners: dict[int, str] = {}
    for name in sorted(told, key=lambda name: (told[name].round, name)):
        owners |= dict.fromkeys(_numbers(told[name].active, topics), name)
    claims = {}
    for name, each in told.items():
        reached = Counter[int]()
        for topic in topics:
            reached.update(each.stored.get(topic, {}))
        had = [number for number, owner in owners.items() if owner == name]
        claims[name] = MemberClaim(had, _numbers(each.standby, topics), reached)
    return claims


def _numbers(partitions: Partitions, topics: Iterable[str]) -> set[int]:
    return {number for topic in topics for number in partitions.get(topic, ())}
