"""Declarations of topics: name, row type, key, owner.

Topics are frozen values: creating one starts nothing and checks nothing. A service reports all mistakes when it starts
(`larder.declaring.checks.declarations`). This module does not know services, brokers or stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, TypeAlias

from larder.declaring.keys import KEY_TYPES, KeyType
from larder.declaring.missing_fields import DeadLetter, Terminal
from larder.declaring.rows import Row

Partitioner: TypeAlias = Literal["murmur2", "other"]


@dataclass(frozen=True)
class EventTopic:
    """A topic of events: every record counts.

    name        the name of the Kafka topic.
    row         the type of its values, which are JSON objects.
    key         the field of `row` that holds the message key.
    key_type    how the key is encoded: `str` (UTF-8 text), `bytes`, `int` (64 bits, like
                Java's LongSerializer) or `uuid.UUID` (like Java's UUIDSerializer; upper
                case and braces are accepted).
    partitions  the number of partitions of a new topic; an existing one keeps its own. By
                default as many as the topics with which it is co-partitioned, or 4.
    owner       the name of the only service that writes to it. By default the service
                that publishes to it.
    retention   how long events are kept; by default as long as the broker decides.
    key_is      what tables call the same key, if `key` has another name:
                `key="buyer", key_is="customer_id"`. Without it, use `.by` to join records
                with a co-partitioned table whose key has another name.
    partitioner how its producers assign keys to partitions: `murmur2`, like Java's default
                partitioner, or `other`. Services pass the records of `other` through a
                topic of their own if they need them by partition.

    >>> orders = EventTopic("shop.orders", Order, key="order_id")
    """

    name: str
    row: type[Row]
    key: str
    key_type: type = str
    partitions: int | None = None
    owner: str | None = None
    retention: timedelta | None = None
    key_is: str | None = None
    partitioner: Partitioner = "murmur2"

    @property
    def key_codec(self) -> KeyType:
        """How keys are encoded; raises KeyError for an unknown `key_type`."""
        return KEY_TYPES[self.key_type]

    def by(self, field: str, *, missing: Terminal = DeadLetter) -> "Rekeyed":
        """Partition the same events by another field, for a table that is partitioned by it.

        The service writes the events to an internal topic, `<service>.<topic>.by.<field>`.
        Message keys do not change. Events with equal values in `field` keep their order.
        An event without the field becomes a dead letter. So does an event in which the
        field is null, unless `missing=Drop` drops and counts it.

        >>> fulfilment.join(shop.orders.by("customer_id"), customers, into=...)
        """
        return Rekeyed(self, field, missing)


@dataclass(frozen=True)
class OwnerTopic:
    """A compacted topic that one service writes: a full row for each key.

    name, row, key, key_type, partitions, owner, key_is, partitioner
                as for `EventTopic`.
    revision    an integer field of `row` that the owner raises with each change of the
                row. A record is stale if its revision is not higher than the row's:
                Larder ignores and counts it, however late or often it arrives.
                Without `revision`, the record with the higher offset wins. That is right
                as long as only the owner writes each key, in the order of the changes.
                If a retry or a second writer sends an old row again, the old row wins.
    indexes     fields of `row` to index the rows by. Each service that reads the topic
                declares its own.

    A record without a value (a tombstone) deletes the row of its key.

    >>> customers = OwnerTopic("shop.customers", Customer, key="customer_id",
    ...                        revision="revision", owner="crm", indexes=["country"])
    """

    name: str
    row: type[Row]
    key: str
    revision: str | None = None
    key_type: type = str
    indexes: Sequence[str] = ()
    owner: str | None = None
    partitions: int | None = None
    key_is: str | None = None
    partitioner: Partitioner = "murmur2"

    def __post_init__(self) -> None:
        """Freeze the indexes; a single name is one index."""
        one = isinstance(self.indexes, str)
        indexes = (str(self.indexes),) if one else tuple(self.indexes)
        object.__setattr__(self, "indexes", indexes)

    @property
    def key_codec(self) -> KeyType:
        """How keys are encoded; raises KeyError for an unknown `key_type`."""
        return KEY_TYPES[self.key_type]

    def by(self, field: str, *, missing: Terminal = DeadLetter) -> "Rekeyed":
        """Partition the same rows by another field, for a table that is partitioned by it.

        This works as for events. In addition, a row whose field changes moves to the
        partition of the new value, and a deleted row is deleted from its partition. The
        results of a join go to an owner topic with the same key and revision. There, a
        newer result replaces an older one from any partition. A row whose field becomes
        null is deleted from its partition, and `missing` says what else to do with it.

        >>> fulfilment.join(shop.addresses.by("customer_id"), customers, into=shop.labels)
        """
        return Rekeyed(self, field, missing)


@dataclass(frozen=True)
class Rekeyed:
    """The records of `source`, partitioned by the value of `field`; see `by`."""

    source: EventTopic | OwnerTopic
    field: str
    missing: Terminal = DeadLetter
    mirrored: bool = False
    """Rows by their own key, which a service mirrors by itself: see `larder.declaring.generations`."""
    generation: int = 1
    """The generation of the service that reads them: each one has an internal topic of its own."""

    @property
    def name(self) -> str:
        """Its name in messages; the name of its topic is `name_in(service)`."""
        return self.source.name if self.mirrored else f'{self.source.name}.by("{self.field}")'

    @property
    def step(self) -> str:
        """The name in dead letters of the step that passes the records on."""
        return "mirror" if self.mirrored else f"by {self.field}"

    @property
    def row(self) -> type[Row]:
        """The row type of the source, unchanged."""
        return self.source.row

    @property
    def key(self) -> str:
        """The field of the message key, as in the source."""
        return self.source.key

    @property
    def key_type(self) -> type:
        """The type of the message key, as in the source."""
        return self.source.key_type

    @property
    def key_codec(self) -> KeyType:
        """How message keys are encoded, as in the source."""
        return self.source.key_codec

    @property
    def of_rows(self) -> bool:
        """Whether these are rows, which can be deleted, rather than events."""
        return isinstance(self.source, OwnerTopic)

    @property
    def moves(self) -> bool:
        """Whether these are rows that move to another partition when the value of the field changes."""
        return self.of_rows and not self.mirrored

    def name_in(self, service: str) -> str:
        """Return the name of the internal topic in a service."""
        name = f"{service}.{self.source.name}.{'mirror' if self.mirrored else f'by.{self.field}'}"
        return of_generation(name, self.generation)

    def former_inputs(self, service: str) -> frozenset[str]:
        """Return the topics from which a service may have read these records before, each with its own partitions.

        They are its internal topics of earlier generations, and the topic of the source if the field is its key.
        """
        names = {replace(self, generation=number).name_in(service) for number in range(1, self.generation)}
        native = {self.source.name} if self.mirrored or self.field == self.source.key else set[str]()
        return frozenset(names | native)


def of_generation(name: str, generation: int) -> str:
    """Name an internal topic in a generation of its service; the first one has the plain name."""
    return name if generation == 1 else f"{name}.g{generation}"
