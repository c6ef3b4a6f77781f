"""A record of any topic. Knows no Kafka: every object with these attributes is one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """One record of a topic."""

    @property
    def offset(self) -> int:
        """Its offset in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was written, in ms since 1970; -1 if it has no time."""

    @property
    def key(self) -> bytes | None:
        """The message key."""

    @property
    def value(self) -> bytes | None:
        """JSON, usually; None is a tombstone for a table."""

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
