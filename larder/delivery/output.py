"""Topics that are published to: how many partitions each has, and which records it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

Headers = list[tuple[str, bytes | None]]

NO_HEADERS: Final[Headers] = []

RECORD_OVERHEAD: Final = 128
"""Upper bound of what the record batch format adds to one record's key and value, and to the list of its headers."""

HEADER_OVERHEAD: Final = 10
"""Upper bound of what it adds to one header: the lengths of its name and its value."""


class Output(NamedTuple):
    """A topic that is published to: its partition count and the largest record it takes, in bytes."""

    topic: str
    partitions: int
    max_bytes: int

    def takes(self, key: bytes | None, value: bytes | None, headers: Headers = NO_HEADERS) -> bool:
        return _size(key, value, headers) <= self.max_bytes

    def takes_all(
        self, keys: Sequence[bytes | None], values: Sequence[bytes | None], headers: Sequence[Headers] | None
    ) -> bool:
        """Whether it certainly takes each record: even one that has the longest key, value and headers."""
        return self.takes(_longest(keys), _longest(values), max(headers or (), key=_size_of_headers, default=[]))

    def refusal(self, key: bytes | None, value: bytes | None, headers: Headers = NO_HEADERS) -> str:
        """Say why `takes` is false, for the reader of dead letters."""
        return (
            f"a record of {self.topic} requires at most {self.max_bytes} bytes; found"
            f" {_size(key, value, headers)}; raise max.message.bytes of the topic"
        )


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Upper bound of the record batch that has this record only."""
    return len(key or b"") + len(value or b"") + _size_of_headers(headers) + RECORD_OVERHEAD


def _size_of_headers(headers: Headers) -> int:
    # A name of ASCII characters is not encoded only to measure it.
    return sum(
        (len(name) if name.isascii() else len(name.encode())) + len(value or b"") + HEADER_OVERHEAD
        for name, value in headers
    )


def _longest(column: Sequence[bytes | None]) -> bytes | None:
    return max(filter(None, column), key=len, default=None)
