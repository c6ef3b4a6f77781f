"""All audits in order, and what each of them examines. Pure. Add a new audit here."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from larder.config.declared import topics
from larder.declaring.facts import input_name
from larder.declaring.topics import OwnerTopic
from larder.doctor.audits.ages import Ages, ways
from larder.doctor.audits.compaction import compaction
from larder.doctor.audits.deletions import deletions
from larder.doctor.audits.existence import leaderless, missing_topics, unread
from larder.doctor.audits.group_offsets import group_offsets
from larder.doctor.audits.keys import Keys
from larder.doctor.audits.letters import letters
from larder.doctor.audits.open_transactions import open_transactions
from larder.doctor.audits.owners import owners
from larder.doctor.audits.partners import meetings, partners
from larder.doctor.audits.placement import KeyPlacement
from larder.doctor.audits.retention import retention
from larder.doctor.audits.revisions import Revisions
from larder.doctor.audits.schema import Schema
from larder.doctor.audits.settings import together
from larder.doctor.audits.sizes import RecordSizes, limits, sizes
from larder.doctor.audits.transactions import transactions
from larder.doctor.audits.workers import workers
from larder.doctor.findings import in_order
from larder.doctor.records import ValueReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from larder.declaring.records import Record
    from larder.declaring.topics import EventTopic
    from larder.doctor.facts import System
    from larder.doctor.findings import Finding
    from larder.doctor.records import Audit
    from larder.doctor.sampling import Read

OF_FACTS = (
    missing_topics,
    leaderless,
    compaction,
    deletions,
    partners,
    owners,
    retention,
    group_offsets,
    together,
    transactions,
    open_transactions,
    workers,
    letters,
)
"""The audits that need no records, in order."""


class TopicAudits:
    """The audits of the records of one topic. Each record is decoded once for all of them."""

    def __init__(self, system: System, topic: EventTopic | OwnerTopic) -> None:
        """Choose the audits by the topic's declaration and by its use."""
        self.topic = topic
        self._reader = ValueReader(topic)
        self.sizes = RecordSizes(limits(system, topic.name))
        count = system.topics[topic.name].partitions
        placement = KeyPlacement(topic.name, count, by_partition=topic.name in by_partition(system))
        placement.one_form = topic.key_codec.one_form
        self._audits: list[Audit] = [Schema(self._reader), Keys(self._reader), placement, self.sizes]
        self._audits.append(Ages(system.bootstrap, topic.name, ways(system, topic.name), system.now_ms))
        if isinstance(topic, OwnerTopic) and topic.revision is not None:
            self._audits.append(Revisions(self._reader, topic.revision))

    def take(self, partition: int, records: Sequence[Record]) -> None:
        """Examine more records of a partition."""
        seen = self._reader.read(partition, records)
        for audit in self._audits:
            audit.take(seen)

    def findings(self) -> Iterator[Finding]:
        """Return the findings of all audits."""
        return chain.from_iterable(audit.findings() for audit in self._audits)


def audits(system: System) -> dict[str, TopicAudits]:
    """Return the audits of the declared topics that exist, by name."""
    known = {topic.name: topic for topic in topics(system.services)}
    return {name: TopicAudits(system, topic) for name, topic in known.items() if name in system.topics}


def by_partition(system: System) -> set[str]:
    """Return the topics in which each record has to be in the partition of its key."""
    held = {table.name for service in system.services for table in service.tables if table.held == "partition"}
    met = {input_name(service, source) for service in system.services for source, _ in meetings(service)}
    return held | met


def examine(system: System, audited: Mapping[str, TopicAudits], read: Mapping[str, Read]) -> list[Finding]:
    """Return all findings, the worst first."""
    return in_order(
        [
            *chain.from_iterable(audit(system) for audit in OF_FACTS),
            *chain.from_iterable(each.findings() for each in audited.values()),
            *sizes(system, {name: each.sizes for name, each in audited.items()}),
            *unread(system, read),
        ]
    )
