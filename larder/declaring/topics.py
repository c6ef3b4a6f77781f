"""Declarations of topics: name, row type, key, owner.

Frozen values: making one starts nothing and checks nothing. Mistakes are found when
a service starts, all at once (`larder.declaring.checks.declarations`). This module may not know
services, brokers or stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from larder.declaring.keys import KEY_TYPES, KeyType
from larder.declaring.missing_fields import DeadLetter, Terminal
from larder.declaring.rows import Row


@dataclass(frozen=True)
class EventTopic:
    """A topic of things that happened: every record counts.

    name        of the Kafka topic.
    row         type of its values, which are JSON objects.
    key         field of `row` that the message key is made of.
    key_type    how the key is written: `str` (UTF-8 text), `bytes`, `int` (64 bits as
                Java's LongSerializer) or `uuid.UUID` (as Java's UUIDSerializer; capitals and
                braces are read too).
    partitions  when it is created; what an existing topic has is left alone. Left out: as
                many as the topics that it meets by partition have, else 4.
    owner       name of the only service that writes it. Left out: whichever service
                publishes into it.
    retention   how long events are kept; left out: as the broker has it.
    key_is      the name that tables have for the same key, where it differs from `key`:
                `key="buyer", key_is="customer_id"`. Without it, records meet rows of
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
        """How keys are written and read; KeyError for a `key_type` that has no way."""
        return KEY_TYPES[self.key_type]

    def by(self, field: str, *, missing: Terminal = DeadLetter) -> "Rekeyed":
        """Partition the same events by another field, to meet a table that is so.

        The service that uses it gets an internal topic for it, created and named
        `<service>.<topic>.by.<field>`. The message key stays the row's own key; the
        order of events with equal values in `field` is kept. An event that lacks the
        field goes to the dead letters; so does one that has null in it, unless
        `missing=Drop` leaves it out and counts it.

        >>> fulfilment.join(shop.orders.by("customer_id"), customers, into=...)
        """
        return Rekeyed(self, field, missing)


@dataclass(frozen=True)
class OwnerTopic:
    """A compacted topic that one service writes: a full row for each key.

    name, row, key, key_type, partitions, owner, key_is   as for `EventTopic`.
    revision    integer field of `row` that its owner raises with each change of the
                row. A record whose revision is not above the row's is stale: it is
                ignored and counted, however late or often it comes.
                Left out, the offset decides: the record that comes later in its
                partition wins. That is right while the owner alone writes each key,
                in the order in which it changed. It cannot tell a retry or a second
                writer that sends an old row again from a change: the old row wins,
                because it came last.
    indexes     fields of `row` by which rows can be looked up. They are the reader's
                own: another service declares others.

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
        """Freeze the indexes; a single name is one index, not one for each letter."""
        one = isinstance(self.indexes, str)
        indexes = (str(self.indexes),) if one else tuple(self.indexes)
        object.__setattr__(self, "indexes", indexes)

    @property
    def key_codec(self) -> KeyType:
        """How keys are written and read; KeyError for a `key_type` that has no way."""
        return KEY_TYPES[self.key_type]

    def by(self, field: str, *, missing: Terminal = DeadLetter) -> "Rekeyed":
        """Partition the same rows by another field, to meet a table that is so.

        As for events; and a row whose field changes moves to the other partition, and a
        row that is deleted is deleted there. What is joined with it goes into an owner
        topic of the same key and revision, where it takes the place of what was joined
        with an older revision, wherever that lay. A row that gets null in the field is
        deleted there, and `missing` says what else becomes of it.

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
        """What messages call it; the topic's own name is `name_in(service)`."""
        return f'{self.source.name}.by("{self.field}")'

    @property
    def row(self) -> type[Row]:
        """The row type of the source, unchanged."""
        return self.source.row

    @property
    def key(self) -> str:
        """The field of the message key, which stays that of the source."""
        return self.source.key

    @property
    def key_type(self) -> type:
        """The type of the message key, which stays that of the source."""
        return self.source.key_type

    @property
    def key_codec(self) -> KeyType:
        """How message keys are written and read: as those of the source."""
        return self.source.key_codec

    @property
    def of_rows(self) -> bool:
        """Whether these are rows, which can move and be deleted, and not events."""
        return isinstance(self.source, OwnerTopic)

    def name_in(self, service: str) -> str:
        """Give the literal name of the internal topic in a service."""
        return f"{service}.{self.source.name}.by.{self.field}"
