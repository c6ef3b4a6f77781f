"""What becomes of a record that lacks what it needs: a partner, or a field.

Words only; what they do is done where records are.
"""

from enum import Enum, auto
from typing import Final


class Terminal(Enum):
    """A step that settles a record for good."""

    PASS_ON = auto()
    DROP = auto()
    DEAD_LETTER = auto()

    def __repr__(self) -> str:
        """Show the word that a declaration uses."""
        return self.name.title().replace("_", "")


PassOn: Final = Terminal.PASS_ON
"""Send the order on without the row: `null` in its place, None to a function."""

Drop: Final = Terminal.DROP
"""Forget the record; it is counted."""

DeadLetter: Final = Terminal.DEAD_LETTER
"""Park the record in `<service>.dead-letters`, with its cause and coordinates."""
