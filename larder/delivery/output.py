"""Output topics: their partition counts, and which records they accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

Header = tuple[str, bytes | None]
Headers = list[Header]

NO_HEADERS: Final[Headers] = []

RECORD_OVERHEAD: Final = 128
"""Upper bound of the record batch format's overhead for one record, without its headers."""

HEADER_OVERHEAD: Final = 10
"""Upper bound of the format's overhead for one header: the lengths of its name and its value."""


class Output(NamedTuple):
    """An output topic: its partition count, and its largest record in bytes."""

    topic: str
    partitions: int
    max_bytes: int

    def takes(self, key: bytes | None, value: bytes | None, headers: Headers = NO_HEADERS) -> bool:
        return _size(key, value, headers) <= self.max_bytes

    def takes_more(self, key: bytes | None, value: bytes | None, more: int) -> bool:
        """Return whether it surely accepts a record with so many more bytes."""
        return len(key or b"") + len(value or b"") + more <= self.max_bytes

    def takes_all(
        self, keys: Sequence[bytes | None], values: Sequence[bytes | None], headers: Sequence[Headers] | None
    ) -> bool:
        """Return whether it surely accepts each record, even one with the longest key, value and headers."""
        return self.takes(_longest(keys), _longest(values), max(headers or (), key=size_of_headers, default=[]))

    def refusal(self, key: bytes | None, value: bytes | None, headers: Headers = NO_HEADERS) -> str:
        """Return why `takes` is false, as the cause of a dead letter."""
        return (
            f"a record of {self.topic} requires at most {self.max_bytes} bytes; found"
            f" {_size(key, value, headers)}; raise max.message.bytes of the topic"
        )


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return an upper bound of a record batch with only this record."""
    return len(key or b"") + len(value or b"") + (size_of_headers(headers) if headers else 0) + RECORD_OVERHEAD


def size_of_headers(headers: Headers) -> int:
    """Return an upper bound of what headers add to a record, in bytes."""
    # An ASCII name need not be encoded to measure it.
    return sum(
        (len(name) if name.isascii() else len(name.encode())) + len(value or b"") + HEADER_OVERHEAD
        for name, value in headers
    )


def _longest(column: Sequence[bytes | None]) -> bytes | None:
    return max(filter(None, column), key=len, default=None)
