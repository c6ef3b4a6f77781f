"""What a broker says about topics, and the names and sizes of those of a service.

Facts are plain values that somebody else has asked for. Names of internal topics are
written here and nowhere else.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from agents.declaring.joins import Join, Source
from agents.declaring.service import Service
from tables.declaring.topics import EventTopic, OwnerTopic, Rekeyed


class TopicFacts(NamedTuple):
    """What a broker says about one topic."""

    partitions: int
    cleanup_policy: str
    max_message_bytes: int
    topic_id: str


Facts: TypeAlias = Mapping[str, TopicFacts | None]
"""By topic name; None, or no entry, for a topic that does not exist."""


def dead_letters_name(service: str) -> str:
    """Name the topic of what a service could not handle."""
    return f"{service}.dead-letters"


def waiting_name(service: str, join: Join) -> str:
    """Name the topic of the orders that wait for their partner."""
    return f"{service}.{join.into.name}.waiting"


def input_name(service: Service, source: Source) -> str:
    """Name the topic that a join reads: internal, when it is rekeyed."""
    if isinstance(source, Rekeyed):
        return source.name_in(service.name)
    return source.name


def input_partitions(service: Service, source: Source, facts: Facts) -> int:
    """Count the partitions of what a join reads, as they are or are to be.

    An internal topic that does not exist yet gets as many as the co-partitioned
    table it meets, and as many as its source when it meets none.
    """
    if not isinstance(source, Rekeyed):
        return partitions(source, facts)
    found = facts.get(source.name_in(service.name))
    if found is not None:
        return found.partitions
    met = (
        lookup.table.topic
        for join in service.joins
        if join.source == source
        for lookup in join.lookups
        if lookup.table.held == "partition"
    )
    return partitions(next(met, source.source), facts)


def partitions(topic: EventTopic | OwnerTopic, facts: Facts) -> int:
    """Count the partitions of a topic: those it has, else those declared."""
    found = facts.get(topic.name)
    return topic.partitions if found is None else found.partitions
