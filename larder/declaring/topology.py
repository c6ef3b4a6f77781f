"""Derives every topic that a service reads or writes from its declaration.

Topic creation, checks, pages and workers use this one list. The caller passes facts about the broker as values.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from larder.declaring.facts import Facts, dead_letters_name, growth_name, keys_name, replays_name
from larder.declaring.operators import KeptTopic, Operator, Role, Topic
from larder.declaring.partition_counts import components, known_partitions, partitions, partners_of
from larder.declaring.service import Service
from larder.declaring.sources import Source, events_of
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

# Internal topics keep whole records of other topics, with additional headers: the largest
# record of another topic (1 MB) must fit.
INTERNAL_MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
KEPT_PARTITIONS: Final = 4
FOREVER: Final = timedelta.max
MOVED_RETENTION: Final = timedelta(days=7)


_STAMPED: Final = frozenset(
    {
        Role.KEYS, Role.WAITING, Role.WAKE_UPS, Role.REQUESTS, Role.CALLS, Role.OUTCOMES, Role.REFUSALS,
        Role.DEAD_LETTERS, Role.GROWTH,
    }
)  # fmt: skip
PASSING: Final = frozenset({Role.REKEYED, Role.JOINED, Role.REPLAYS})
"""Topics of events on their way to another step of the service."""
_ROWS: Final = frozenset({Role.MIRROR, Role.ROWS})
"""Topics of rows that the service places itself."""
_INTERNAL: Final = _STAMPED | PASSING | _ROWS

# Brokers have this setting since 3.6; since 4.0 its default is an hour (KIP-937).
AFTER_MAX: Final = "message.timestamp.after.max.ms"
NO_LIMIT_MS: Final = str(2**63 - 1)


@dataclass(frozen=True)
class TopicUse:
    """One topic of a service: its roles and its settings.

    owned              whether this service writes to it, and creates it if it is missing. A
                       worker waits for topics that its service does not own.
    compacted          whether cleanup.policy is compact rather than delete.
    partitions         the number that the topic has, or will be created with.
    retention          None for the broker's.
    max_message_bytes  None for the broker's.
    waits              whether it takes its number of partitions from a topic that another
                       service has not created yet; it is then created after that topic.
    """

    name: str
    roles: tuple[Role, ...]
    owned: bool
    compacted: bool
    partitions: int
    retention: timedelta | None = None
    max_message_bytes: int | None = None
    waits: bool = False

    @property
    def internal(self) -> bool:
        """Whether it is an internal topic of the service."""
        return not _INTERNAL.isdisjoint(self.roles)

    @property
    def declared(self) -> bool:
        """Whether the user declared the topic."""
        return not _INTERNAL.issuperset(self.roles)

    @property
    def config(self) -> dict[str, str]:
        """The settings of a new topic, by their names in Kafka."""
        config = {"cleanup.policy": "compact" if self.compacted else "delete"}
        if self.retention is not None:
            config["retention.ms"] = _milliseconds(self.retention)
        if self.retention == FOREVER:
            config["retention.bytes"] = "-1"
        if not (PASSING | _ROWS).isdisjoint(self.roles):
            # Records keep their timestamp, however far ahead it is: another topic has accepted it.
            config[AFTER_MAX] = NO_LIMIT_MS
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        if not _STAMPED.isdisjoint(self.roles):
            # The broker always accepts its own time; the record's is in a header, or in the value.
            config["message.timestamp.type"] = "LogAppendTime"
        if self.compacted and not {Role.REKEYED, Role.MIRROR}.isdisjoint(self.roles):
            # A join that is held back for up to this time still learns that a row was deleted, or moved.
            config["delete.retention.ms"] = _milliseconds(MOVED_RETENTION)
        return config


def topics_of(service: Service, facts: Facts | None = None) -> tuple[TopicUse, ...]:
    """List the topics of a service in the order of declaration, without duplicates.

    Internal topics take their partition counts from other topics. Before you create any, call this again with
    new facts, once no topic of another service is missing (`missing_topics`).
    """
    uses: dict[str, TopicUse] = {}
    for use in _uses(service, facts or {}):
        known = uses.get(use.name)
        roles = known.roles if known else ()
        if known is None or use.roles[0] not in roles:
            uses[use.name] = replace(known or use, roles=roles + use.roles)
    return tuple(uses.values())


def missing_topics(service: Service, facts: Facts) -> tuple[str, ...]:
    """Return the names of the missing topics that other services create."""
    return tuple(use.name for use in topics_of(service, facts) if not use.owned and facts.get(use.name) is None)


def declared_topics(services: Iterable[Service]) -> tuple[Topic, ...]:
    """Return all declarations of topics that the services use, without duplicates."""
    used: dict[Topic, None] = {}
    for service in services:
        for table in service.tables:
            used[table.topic] = None
        for operator in service.operators:
            used |= {events_of(source): None for source in operator.reads()}
            used |= dict.fromkeys(operator.writes())
            used |= {table.topic: None for table in operator.uses()}
    return tuple(used)


def owns(service: Service, topic: EventTopic | OwnerTopic) -> bool:
    """Return whether a service creates a topic and writes to it."""
    if topic.owner is not None:
        return topic.owner == service.name
    return any(written.name == topic.name for written in service.written)


def _uses(service: Service, facts: Facts) -> Iterator[TopicUse]:
    for table in service.tables:
        yield _declared(service, table.topic, Role.TABLE, facts)
        if table.build is not None:
            role = Role.MIRROR if table.mirrored else Role.ROWS
            yield _internal(
                table.build, role, _existing(table.build, facts) or service.counts[table.build], compacted=True
            )
    for table in service.kept:
        yield _declared(service, table.topic, Role.TABLE, facts)
    for operator in service.operators:
        yield from _of_operator(service, operator, facts)
    yield _kept(service, KeptTopic(dead_letters_name(service.name), Role.DEAD_LETTERS, None, compacted=False), facts)
    if components(service):
        yield _internal(growth_name(service.name), Role.GROWTH, 1, compacted=True)


def _of_operator(service: Service, operator: Operator, facts: Facts) -> Iterator[TopicUse]:
    for source in operator.reads():
        if operator.reads_as is Role.SOURCE:
            yield from _of_source(service, source, facts)
        else:
            yield _declared(service, events_of(source), operator.reads_as, facts)
    tables = {table.name for table in operator.uses()}
    for topic in operator.writes():
        yield _declared(service, topic, Role.TABLE if topic.name in tables else Role.OUTPUT, facts)
    for kept in operator.keeps(service.name):
        yield _kept(service, kept, facts)


def _of_source(service: Service, source: Source, facts: Facts) -> Iterator[TopicUse]:
    events = events_of(source)
    yield _declared(service, events, Role.SOURCE, facts)
    if isinstance(source, Rekeyed):
        name, count = source.name_in(service.name), partitions(service, source, facts)
        role = Role.MIRROR if source.mirrored else Role.REKEYED
        yield _internal(name, role, count, compacted=source.of_rows)
        if source.moves:
            yield _kept(service, KeptTopic(keys_name(service.name, source), Role.KEYS, events, compacted=True), facts)
        if source.of_rows:
            return
        yield _replays(service, name, count, facts)
    if isinstance(events, EventTopic):
        yield _replays(service, events.name, partitions(service, events, facts), facts)


def _replays(service: Service, read: str, count: int, facts: Facts) -> TopicUse:
    """Return the topic for replays of events; rows are never replayed, since a newer one may be on its way."""
    name = replays_name(service.name, read)
    return _internal(name, Role.REPLAYS, _existing(name, facts) or count, compacted=False)


def _declared(service: Service, topic: EventTopic | OwnerTopic, role: Role, facts: Facts) -> TopicUse:
    return TopicUse(
        topic.name,
        (role,),
        owned=owns(service, topic),
        compacted=isinstance(topic, OwnerTopic),
        partitions=partitions(service, topic, facts),
        waits=owns(service, topic) and _waits(service, topic, facts),
        retention=topic.retention if isinstance(topic, EventTopic) else None,
    )


def _waits(service: Service, topic: EventTopic | OwnerTopic, facts: Facts) -> bool:
    if known_partitions(service, topic, facts) is not None:
        return False
    partners = [each for each in partners_of(service, topic) if not isinstance(each, Rekeyed)]
    return any(not owns(service, each) and facts.get(each.name) is None for each in partners)


def _internal(name: str, role: Role, count: int, *, compacted: bool) -> TopicUse:
    return TopicUse(
        name,
        (role,),
        owned=True,
        compacted=compacted,
        partitions=count,
        # Records that are not rows are deleted once they are processed, or kept for people.
        retention=None if compacted else FOREVER,
        max_message_bytes=INTERNAL_MAX_MESSAGE_BYTES,
    )


def _kept(service: Service, kept: KeptTopic, facts: Facts) -> TopicUse:
    count = KEPT_PARTITIONS if kept.like is None else partitions(service, kept.like, facts)
    return _internal(kept.name, kept.role, _existing(kept.name, facts) or count, compacted=kept.compacted)


def _existing(name: str, facts: Facts) -> int | None:
    found = facts.get(name)
    return None if found is None else found.partitions


def _milliseconds(retention: timedelta) -> str:
    # Kafka writes "forever" as -1.
    return "-1" if retention == FOREVER else str(retention // timedelta(milliseconds=1))
