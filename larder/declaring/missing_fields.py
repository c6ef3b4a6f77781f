"""The final steps for a record without a partner, or without a field. Words only; other modules act on them."""

from enum import Enum, auto
from typing import Final


class Terminal(Enum):
    """A step that settles a record for good."""

    PASS_ON = auto()
    DROP = auto()
    DEAD_LETTER = auto()

    def __repr__(self) -> str:
        """Show the word as declarations use it."""
        return self.name.title().replace("_", "")


PassOn: Final = Terminal.PASS_ON
"""Pass the record on without the row: with `null` in its place, or None to a function."""

Drop: Final = Terminal.DROP
"""Drop the record, and count it."""

DeadLetter: Final = Terminal.DEAD_LETTER
"""Write the record to `<service>.dead-letters`, with its cause and coordinates."""
