"""A table in memory: what a whole topic comes to, one record after the other.

By the same rules as the store: a newer revision wins, a deletion remembers its own.
Simple rather than fast; it is for runs in memory, and may not know joins.
"""

from larder.declaring.decoding import decoder
from larder.declaring.topics import OwnerTopic


class MemoryTable:
    """The rows of an owner topic, by encoded key, as raw JSON."""

    def __init__(self, topic: OwnerTopic) -> None:
        """Start with no rows."""
        self._topic = topic
        self._decode = decoder(topic.row)
        self._rows: dict[bytes, bytes | None] = {}
        self._revisions: dict[bytes, int] = {}

    def get(self, key: bytes | None) -> bytes | None:
        """Give the row of a key; None if there is none, or no key."""
        return None if key is None else self._rows.get(key)

    def revision(self, key: bytes) -> int | None:
        """Give the revision of a row, or that of a row that was deleted."""
        return self._revisions.get(key)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record in; ValueError, with the cause, for what is no row.

        A deletion keeps the revision of the row, so that only a newer one comes back.
        """
        if key is None:
            message = f"a row of {self._topic.name} requires a message key; found null"
            raise ValueError(message)
        if value is None:
            self._rows[key] = None
            return
        row = self._decode(value)
        if self._topic.key_codec.encode(getattr(row, self._topic.key)) != key:
            message = f"the message key requires the value of {self._topic.key}; found {key!r}"
            raise ValueError(message)
        revision = self._topic.revision
        if revision is None or self._is_newer(key, getattr(row, revision)):
            self._rows[key] = value

    def _is_newer(self, key: bytes, revision: int) -> bool:
        known = self._revisions.get(key)
        if known is not None and revision <= known:
            return False
        self._revisions[key] = revision
        return True
