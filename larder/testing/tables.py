"""Keeps tables in memory by the rules of the store. Knows no operators."""

from __future__ import annotations

from typing import Any

from larder.declaring.decoding import decoder
from larder.declaring.one_form import in_one_form
from larder.declaring.records import Record
from larder.declaring.topics import OwnerTopic
from larder.store.applying.changes import RowChange, changes
from larder.store.layout import HEADER_SIZE, origin
from larder.store.records import Rejected
from larder.store.row_schema import shape


class MemoryTable:
    """The rows of an owner topic, by encoded key, as raw JSON."""

    def __init__(self, topic: OwnerTopic) -> None:
        """Start without rows."""
        self.topic = topic
        self._shape = shape(topic)
        self._stored: dict[bytes, bytes | None] = {}
        self._unread: set[bytes] = set()

    def take(self, record: Record) -> RowChange | None:
        """Apply a record and return its change, if any; raise ValueError, with the cause, if it is not a row."""
        formed = in_one_form((record,), self.topic.key_codec)
        found = list(changes(formed, self._stored, self._unread, 0, self._shape))
        if causes := [each.cause for each in found if isinstance(each, Rejected)]:
            raise ValueError(*causes)
        return next((each for each in found if isinstance(each, RowChange)), None)

    def get(self, key: bytes | None) -> bytes | None:
        """Return the row of a key; None if there is no row or no key."""
        stored = None if key is None else self._stored.get(key)
        return None if stored is None else stored[HEADER_SIZE:] or None

    def revision(self, key: bytes) -> int | None:
        """Return the revision of a row, or of its deletion."""
        stored = self._stored.get(key)
        return None if stored is None else origin(stored).revision

    def rows(self) -> list[bytes]:
        """Return all rows in the order of their keys."""
        return [row for key in sorted(self._stored) if (row := self.get(key)) is not None]


class TableView:
    """The present rows of a table, typed."""

    def __init__(self, table: MemoryTable) -> None:
        """Show a table."""
        self._table = table
        self._decode = decoder(table.topic.row)

    def get(self, key: Any) -> Any:
        """Return the row of a key, which is a value of the topic's key type; None if there is none."""
        row = self._table.get(self._table.topic.key_codec.encode(key))
        return None if row is None else self._decode(row)

    def rows(self) -> list[Any]:
        """Return all rows in the order of their encoded keys."""
        return [self._decode(row) for row in self._table.rows()]
