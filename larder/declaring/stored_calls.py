"""What a service keeps of its calls: a table of those that are not done, and a topic of their outcomes.

Both are partitioned like the events. A call is a row from the arrival of its event until its outcome is processed. The
function runs only after the row says that an attempt has begun, and by whom. The outcome is a record, so it outlives
the assignment of the partition.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.records import PlainRecord
from larder.declaring.rows import Row
from larder.declaring.topics import OwnerTopic, Rekeyed, of_generation


class Beginning(msgspec.Struct, frozen=True):
    """An attempt that has begun: by which worker, in which run of its process, and when (seconds since 1970)."""

    worker: str
    run: str
    at: float


class StoredCall(Row):
    """A call that is not done, by `id`.

    id         topic id, partition and offset of the event: unique also after a topic was made again.
    place      the encoded key of the event: the call has its partition, and its turn among the calls of that key.
    number     the order in which the calls of a partition arrived.
    event      the event's record, as it came; `topic` and `partition` say where.
    key        the idempotency key.
    since      when it arrived, in seconds since 1970.
    attempt    how many attempts have begun.
    failures   how many of them failed; `own` of these for another reason than an outage.
    due        when the next one may begin, in seconds since 1970.
    begun      the attempt that is under way; None between two.
    cause      the last failure.
    """

    id: str
    place: bytes
    number: int
    topic: str
    partition: int
    offset: int
    timestamp: int
    message_key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]
    key: str
    since: float
    due: float
    attempt: int = 0
    failures: int = 0
    own: int = 0
    begun: Beginning | None = None
    cause: str = ""

    @property
    def event(self) -> PlainRecord:
        """The record of its event."""
        return PlainRecord(self.offset, self.timestamp, self.message_key, self.value, self.headers)

    @property
    def where(self) -> Coordinates:
        """The coordinates of its event."""
        return Coordinates(self.topic, self.partition, self.offset)


class ResultEvent(msgspec.Struct, frozen=True):
    """An event that a call resulted in: the name of its topic in `into`, its key and its value."""

    into: str
    key: bytes
    value: bytes


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The function returned. `unusable` says why its result cannot be published; then there are no events."""

    id: str
    attempt: int
    events: list[ResultEvent] = []
    unusable: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The function raised, or took too long; `outage`: because the other side is down.

    by       the worker's `Beginning` of this attempt: only who holds the beginning may report a failure.
    counts   whether it is a failure of the call rather than of an outage that was known.
    """

    id: str
    attempt: int
    by: Beginning
    at: float
    cause: str
    outage: bool = False
    counts: bool = True


class Order(msgspec.Struct, frozen=True, tag="order"):
    """What a person decides about a call that waits: to call now (`retry`), or to give it up (`skip`)."""

    id: str
    what: str


Outcome: TypeAlias = Done | Failed | Order


def encode(outcome: Outcome) -> bytes:
    """Return an outcome as JSON."""
    return msgspec.json.encode(outcome)


def read(value: bytes | None) -> Outcome:
    """Decode an outcome; raise ValueError for any other value."""
    found: Outcome = msgspec.json.decode(value or b"", type=Done | Failed | Order)
    return found


def calls_name(service: str, call: str, generation: int) -> str:
    """Return the name of the topic of a service's calls that are not done."""
    return of_generation(f"{service}.{call}.calls", generation)


def outcomes_name(service: str, call: str, generation: int) -> str:
    """Return the name of the topic of the outcomes of calls."""
    return of_generation(f"{service}.{call}.outcomes", generation)


def calls_topic(name: str, partitions: int | None = None) -> OwnerTopic:
    """Return the table of calls, by id."""
    return OwnerTopic(name, StoredCall, key="id", partitions=partitions)


def by_place(name: str) -> Rekeyed:
    """Return calls by the key of their event, which places them in another generation of the service."""
    return calls_topic(name).by("place")
