"""Declarations of topics: name, row type, key, owner.

Frozen values: making one starts nothing and checks nothing. A service reports all mistakes at its start
(`larder.declaring.checks.declarations`). Knows no services, brokers or stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from larder.declaring.keys import KEY_TYPES, KeyType
from larder.declaring.missing_fields import DeadLetter, Terminal
from larder.declaring.rows import Row


@dataclass(frozen=True)
class EventTopic:
    """A topic of events: every record counts.

    name        of the Kafka topic.
    row         type of its values, which are JSON objects.
    key         field of `row` with the message key.
    key_type    how the key is encoded: `str` (UTF-8 text), `bytes`, `int` (64 bits as
                Java's LongSerializer) or `uuid.UUID` (as Java's UUIDSerializer; upper case
                and braces are accepted).
    partitions  of a new topic; an existing one keeps its own. By default as many as the
                topics that it meets by partition, or 4.
    owner       name of the only service that writes it. By default the service that
                publishes to it.
    retention   how long events are kept; by default that of the broker.
    key_is      the name of the same key in tables, if it differs from `key`:
                `key="buyer", key_is="customer_id"`. Without it, records meet rows with
                another key field only through `.by`.

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

    @property
    def key_codec(self) -> KeyType:
        """How keys are encoded; raises KeyError for an unknown `key_type`."""
        return KEY_TYPES[self.key_type]

    def by(self, field: str, *, missing: Terminal = DeadLetter) -> "Rekeyed":
        """Partition the same events by another field, for a table that is partitioned by it.

        The service that uses it gets an internal topic, `<service>.<topic>.by.<field>`. The
        message key does not change; events with equal values in `field` keep their order.
        An event without the field becomes a dead letter; so does one with null in it,
        unless `missing=Drop` drops and counts it.

        >>> fulfilment.join(shop.orders.by("customer_id"), customers, into=...)
        """
        return Rekeyed(self, field, missing)


@dataclass(frozen=True)
class OwnerTopic:
    """A compacted topic that one service writes: a full row for each key.

    name, row, key, key_type, partitions, owner, key_is   as for `EventTopic`.
    revision    integer field of `row` that the owner raises with each change of the
                row. A record whose revision is not above that of the row is stale: it
                is ignored and counted, however late or often it arrives.
                Without it the offset decides: the later record wins. That is correct
                as long as only the owner writes a key, in the order of its changes.
                If a retry or a second writer sends an old row again, it wins.
    indexes     fields of `row` by which rows can be looked up. Each service that reads
                the topic declares its own.

    A record without a value (tombstone) deletes the row of its key.

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

        As for events. In addition, a row whose field changes moves to the other partition,
        and a deleted row is deleted there. The results of a join go into an owner topic of
        the same key and revision, where a newer one replaces an older one from any
        partition. A row that gets null in the field is deleted there, and `missing` says
        what else to do with it.

        >>> fulfilment.join(shop.addresses.by("customer_id"), customers, into=shop.labels)
        """
        return Rekeyed(self, field, missing)


@dataclass(frozen=True)
class Rekeyed:
    """The records of `source`, partitioned by the value of `field`; see `by`."""

    source: EventTopic | OwnerTopic
    field: str
    missing: Terminal = DeadLetter

    @property
    def name(self) -> str:
        """Its name in messages; the topic is `name_in(service)`."""
        return f'{self.source.name}.by("{self.field}")'

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
        """Whether these are rows, which can move and be deleted, rather than events."""
        return isinstance(self.source, OwnerTopic)

    def name_in(self, service: str) -> str:
        """Give the name of the internal topic of a service."""
        return f"{service}.{self.source.name}.by.{self.field}"
