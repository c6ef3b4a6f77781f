"""What is known of a record of any topic. Knows no Kafka: whatever has these parts is one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """One record of a topic, as a consumer hands it over; timestamp in ms."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was written, ms since 1970; -1 when it has none."""

    @property
    def key(self) -> bytes | None:
        """The message key as it was sent."""

    @property
    def value(self) -> bytes | None:
        """JSON, or whatever was sent; None is a tombstone to a table."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """A tombstone may carry its revision in `larder.revision`."""


class PlainRecord(NamedTuple):
    """A record as a plain value: one that was kept as it came, or that is made here."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
