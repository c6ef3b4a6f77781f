"""The outcomes of the records of a table. Plain numbers that only rise."""

from __future__ import annotations

from dataclasses import dataclass

from larder.counters.fields_as_dict import FieldsAsDict
from larder.store.records import Applied


@dataclass
class TableCounts(FieldsAsDict):
    """Records of one table in this worker since it started, by their effect; `swept` counts swept rows."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    swept: int = 0
    stale: int = 0
    deleted: int = 0
    repeated: int = 0
    rejected: int = 0

    def add(self, applied: Applied) -> None:
        """Add a batch."""
        self.new += applied.new
        self.changed += applied.changed
        self.unchanged += applied.unchanged
        self.stale += applied.stale
        self.deleted += applied.deleted
        self.repeated += applied.repeated
        self.rejected += len(applied.rejected)
