"""Committed offsets of a service, with the metadata that the next worker needs."""

from __future__ import annotations

from typing import NamedTuple

from aiokafka.structs import OffsetAndMetadata


class Committed(NamedTuple):
    """The next offset, the id of its topic, and the transactional id that committed it.

    `placed_by` is the number of partitions that the service depends on, 0 if it depends on none. All but the offset
    travel as its metadata, and are empty if it has none.
    """

    offset: int
    topic_id: str
    by: str = ""
    placed_by: int = 0

    @classmethod
    def read(cls, found: OffsetAndMetadata) -> Committed:
        """Read a committed offset from the broker's form."""
        topic_id, _, rest = (found.metadata or "").partition(" ")
        by, _, count = rest.rpartition(" ")
        if count.isdecimal():
            return cls(found.offset, topic_id, by, int(count))
        return cls(found.offset, topic_id, rest)

    def written(self) -> OffsetAndMetadata:
        """Return the offset and its metadata, ready to commit."""
        metadata = f"{self.topic_id} {self.by}"
        return OffsetAndMetadata(self.offset, f"{metadata} {self.placed_by}" if self.placed_by else metadata.strip())
