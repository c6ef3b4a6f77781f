"""Committed offsets of a service, with the metadata that the next worker needs."""

from __future__ import annotations

import re
from typing import NamedTuple

from aiokafka.structs import OffsetAndMetadata

_ORIGIN = re.compile(r"g(\d+)(?:@(\d+))?")


class OffsetOrigin(NamedTuple):
    """The generation of the service that reads the partition by this offset, and the offset of the one before it.

    `before` is None if the generation before had not committed any. Offsets of earlier generations have the number 0.
    """

    generation: int = 0
    before: int | None = None


class Committed(NamedTuple):
    """The next offset, the id of its topic, and the transactional id that committed it.

    `placed_by` is the number of partitions that the service depends on, 0 if it depends on none. `origin` is set if a
    generation of the service reads the partition from its start. All but the offset travel as its metadata, and are
    empty if it has none.
    """

    offset: int
    topic_id: str
    by: str = ""
    placed_by: int = 0
    origin: OffsetOrigin = OffsetOrigin()

    @classmethod
    def read(cls, found: OffsetAndMetadata) -> Committed:
        """Read a committed offset from the broker's form."""
        topic_id, _, rest = (found.metadata or "").partition(" ")
        origin = OffsetOrigin()
        if (written := _ORIGIN.fullmatch(rest.rpartition(" ")[2])) is not None:
            rest = rest.rpartition(" ")[0]
            origin = OffsetOrigin(int(written[1]), None if written[2] is None else int(written[2]))
        by, _, count = rest.rpartition(" ")
        if count.isdecimal():
            return cls(found.offset, topic_id, by, int(count), origin)
        return cls(found.offset, topic_id, rest, origin=origin)

    def written(self) -> OffsetAndMetadata:
        """Return the offset and its metadata, ready to commit."""
        metadata = f"{self.topic_id} {self.by}"
        if self.placed_by:
            metadata += f" {self.placed_by}"
        if self.origin.generation:
            before = "" if self.origin.before is None else f"@{self.origin.before}"
            metadata += f" g{self.origin.generation}{before}"
        return OffsetAndMetadata(self.offset, metadata.strip())
