"""The assignor: what group members report to their leader, how the leader assigns partitions, and what it replies.

It replaces the assignor of Faust (0.15.3). Faust's recovery uses that interface, and aiokafka calls it in the
consumer's thread. Topics with the same partition count and the same subscribers are co-partitioned: one member gets a
partition number for all of them. Reports are JSON with a version. Unknown fields are ignored, and missing or unreadable
ones count as empty, so that workers of two versions can share a group during a rolling upgrade.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.structs import TopicPartition
from faust.assignor.partition_assignor import PartitionAssignor

from larder.group.balancing import MemberClaim, Share, share

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata
    from faust.types.tuples import TP

PROTOCOL: Final = "larder"
"""The name of the protocol that all workers speak."""

GROWN_PROTOCOL: Final = "larder.2"
"""The only name that workers offer while their service is being scaled, and afterwards. So the broker keeps out older
workers, which know no generations."""

GROWING_VERSION: Final = 2
"""The version of a report from which on a member knows generations."""

Partitions = dict[str, list[int]]
"""Partition numbers by topic."""


class MemberReport(msgspec.Struct):
    """What a member reports to the leader: its last assignment, and the positions of its stores.

    If two members claim the same partition, the one with the later `round` is right.
    """

    version: int = 1
    round: int = 0
    active: Partitions = {}
    standby: Partitions = {}
    stored: dict[str, dict[int, int]] = {}
    asks: int = 0
    """Counts its requests for another assignment: a broker only reacts if the metadata has changed."""
    web: str = ""
    """The address of its web port for other workers, as http://host:port."""
    step: int = 0
    """The step of its service's growth by whose plan it works: see `larder.declaring.growth`."""


class Given(msgspec.Struct):
    """What the leader sends a member besides its partitions.

    `topics` is the subscription that the leader knew, `step` the newest one among the members.
    """

    version: int = 1
    round: int = 0
    standby: Partitions = {}
    topics: list[str] = []
    step: int = 0


T = TypeVar("T", MemberReport, Given)


def decode_metadata(content: bytes | None, kind: type[T]) -> T:
    """Decode a member's report, or what the leader sent it."""
    try:
        return msgspec.json.decode(content or b"", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return kind()


class Assignor(PartitionAssignor):
    """`stored` returns the positions of this worker's stores; it is called in the consumer's thread."""

    def __init__(
        self, app: Any, stored: Callable[[], Mapping[TopicPartition, int]], *, standby: bool, web: str = "",
        step: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(app)
        self._web = web
        self._step = step
        self._stored = stored
        self._standby = standby
        self._report = MemberReport()
        self._subscribed: frozenset[str] = frozenset()
        self.standbys: Collection[TopicPartition] = frozenset()
        self.is_outdated = False
        """The leader did not know this member's current subscription, so the member must rejoin."""

    @property
    def name(self) -> str:
        return PROTOCOL

    @property
    def version(self) -> int:
        return 1

    def metadata(self, topics: set[str]) -> ConsumerProtocolMemberMetadata:
        self._subscribed = frozenset(topics)
        stored: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for tp, position in self._stored().items():
            stored[tp.topic][tp.partition] = position
        report = msgspec.structs.replace(
            self._report, version=GROWING_VERSION, stored=dict(stored), web=self._web, step=self._step
        )
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), msgspec.json.encode(report))

    def assign(
        self, cluster: ClusterMetadata, member_metadata: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        counts = {
            topic: len(cluster.partitions_for_topic(topic) or ())
            for member in member_metadata.values()
            for topic in member.subscription
        }
        reads = {name: frozenset(member.subscription) for name, member in member_metadata.items()}
        reports = {name: decode_metadata(member.user_data, MemberReport) for name, member in member_metadata.items()}
        active, standby = assign(counts, reads, reports, standby=self._standby)
        latest = 1 + max(each.round for each in reports.values())
        step = max(each.step for each in reports.values())
        return {
            name: ConsumerProtocolMemberAssignment(
                self.version,
                [(topic, numbers) for topic, numbers in sorted(active[name].items())],
                msgspec.json.encode(Given(round=latest, standby=standby[name], topics=sorted(reads[name]), step=step)),
            )
            for name in member_metadata
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        given = decode_metadata(assignment.user_data, Given)
        active = {topic: sorted(numbers) for topic, numbers in assignment.assignment}
        known = self._subscribed == frozenset(given.topics) and given.step >= self._step
        self.is_outdated = bool(given.topics) and not known
        self._report = MemberReport(
            round=given.round, active=active, standby=given.standby, asks=self._report.asks + self.is_outdated
        )
        self.standbys = frozenset(
            TopicPartition(topic, number) for topic, numbers in given.standby.items() for number in numbers
        )

    def assigned_actives(self) -> set[TP]:
        """Return nothing: there are no Faust tables."""
        return set()

    def assigned_standbys(self) -> set[TP]:
        """Return nothing: there are no Faust tables."""
        return set()


def assign(
    counts: Mapping[str, int],
    reads: Mapping[str, frozenset[str]],
    reports: Mapping[str, MemberReport],
    *,
    standby: bool,
) -> tuple[Mapping[str, Partitions], Mapping[str, Partitions]]:
    """Return the active and the standby partitions of each member. Pure.

    `counts` has the partition count of each topic, `reads` the topics of each member. Missing topics are left out. The
    members with the fewest partitions so far get the larger shares of the next group of topics. Members that work by an
    older plan than others get none (rule 28): two plans would have two owners of a key.
    """
    step = max((each.step for each in reports.values()), default=0)
    reads = {name: topics if reports[name].step == step else frozenset() for name, topics in reads.items()}
    active: dict[str, Partitions] = {name: {} for name in reads}
    standbys: dict[str, Partitions] = {name: {} for name in reads}
    loads = Counter[str]()
    for topics, members in _groups(counts, reads):
        ordered = sorted(members, key=lambda name: (loads[name], name))
        shares = share(counts[topics[0]], _claims(topics, {name: reports[name] for name in ordered}), standby=standby)
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
    """Return the groups of co-partitioned topics, each with its members; leave out topics that no member reads."""
    groups: defaultdict[tuple[int, frozenset[str]], list[str]] = defaultdict(list)
    for topic, count in sorted(counts.items()):
        members = frozenset(name for name, topics in reads.items() if topic in topics)
        if count and members:
            groups[count, members].append(topic)
    return [(topics, members) for (_, members), topics in groups.items()]


def _claims(topics: Collection[str], reports: Mapping[str, MemberReport]) -> dict[str, MemberClaim]:
    """Return the members' claims on a group of topics; if several claim a partition, the latest is right."""
    owners: dict[int, str] = {}
    for name in sorted(reports, key=lambda name: (reports[name].round, name)):
        owners |= dict.fromkeys(_numbers(reports[name].active, topics), name)
    claims = {}
    for name, each in reports.items():
        reached = Counter[int]()
        for topic in topics:
            reached.update(each.stored.get(topic, {}))
        had = [number for number, owner in owners.items() if owner == name]
        claims[name] = MemberClaim(had, _numbers(each.standby, topics), reached)
    return claims


def _numbers(partitions: Partitions, topics: Iterable[str]) -> set[int]:
    return {number for topic in topics for number in partitions.get(topic, ())}
