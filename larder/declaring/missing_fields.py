"""The final steps for a record without a partner, or without a field. Values only; other modules act on them."""

from enum import Enum, auto
from typing import Final


class Terminal(Enum):
    """A step that settles a record for good."""

    PASS_ON = auto()
    DROP = auto()
    DEAD_LETTER = auto()

    def __repr__(self) -> str:
        """Show the name that declarations use."""
        return self.name.title().replace("_", "")


PassOn: Final = Terminal.PASS_ON
"""Pass the record on without the row: a result has `null` in its place, and a function gets None."""

Drop: Final = Terminal.DROP
"""Drop the record, and count it."""

DeadLetter: Final = Terminal.DEAD_LETTER
"""Write the record to `<service>.dead-letters`, with the cause and its coordinates."""
