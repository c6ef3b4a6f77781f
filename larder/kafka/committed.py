"""Committed offsets of a service, with what is to be known of them when they are read again."""

from __future__ import annotations

from typing import NamedTuple

from aiokafka.structs import OffsetAndMetadata


class Committed(NamedTuple):
    """The offset that comes next, the id of the topic that it is for, and the transactional id that committed it.

    `placed_by` is the number of partitions that the service depends on, 0 where it depends on none. All but the offset
    are empty where nobody said. They travel as the metadata of the offset.
    """

    offset: int
    topic_id: str
    by: str = ""
    placed_by: int = 0

    @classmethod
    def read(cls, found: OffsetAndMetadata) -> Committed:
        """As the broker has it."""
        topic_id, _, rest = (found.metadata or "").partition(" ")
        by, _, count = rest.rpartition(" ")
        if count.isdecimal():
            return cls(found.offset, topic_id, by, int(count))
        return cls(found.offset, topic_id, rest)

    def written(self) -> OffsetAndMetadata:
        """As it is committed."""
        metadata = f"{self.topic_id} {self.by}"
        return OffsetAndMetadata(self.offset, f"{metadata} {self.placed_by}" if self.placed_by else metadata.strip())
