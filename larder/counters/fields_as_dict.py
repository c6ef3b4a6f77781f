"""Counts whose fields are their outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class FieldsAsDict:
    """Base of counts that are a dataclass of numbers."""

    def as_dict(self) -> dict[str, int]:
        """Return the number of records by outcome."""
        return asdict(self)
