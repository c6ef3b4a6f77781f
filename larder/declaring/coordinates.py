"""The coordinates of a record, and their one text form: topic/partition/offset."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

_TEXT: Final = re.compile(r"([a-zA-Z0-9._-]{1,249})/([0-9]{1,10})/([0-9]{1,19})")


class Coordinates(NamedTuple):
    """Topic, partition and offset of a record."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the form used in addresses, commands, message keys and headers."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read that form; return None for any other text."""
        found = _TEXT.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))
