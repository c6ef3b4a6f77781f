"""A record of any topic: any object with these attributes. Does not know Kafka."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """One record of a topic."""

    @property
    def offset(self) -> int:
        """Its offset in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was written, in ms since 1970; -1 if it has no timestamp."""

    @property
    def key(self) -> bytes | None:
        """The message key."""

    @property
    def value(self) -> bytes | None:
        """Usually JSON; for a table, None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers; a tombstone may carry its revision in `larder.revision`."""


class PlainRecord(NamedTuple):
    """A record as a plain value: one that was stored as it arrived, or one that Larder makes."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
