"""The steps for a record whose partner is missing: one step, or `Wait` and the step after it.

Values only; other modules act on them.
"""

from dataclasses import dataclass
from typing import TypeAlias

from larder.declaring.missing_fields import DeadLetter, Drop, PassOn, Terminal

__all__ = ["DeadLetter", "Drop", "Missing", "PassOn", "Step", "Terminal", "Wait", "steps"]


@dataclass(frozen=True)
class Wait:
    """Keep a record until its partner arrives, for a limited time.

    seconds   how long a record waits. The wait ends only after the partner's table has
              read everything that was in its topic at the deadline.
    at_most   how many records may wait in one input partition. Beyond that, the oldest
              take the next step at once.

    The service keeps waiting records in a compacted topic, so that they survive the loss
    of their worker. The step after the wait is required:

    >>> Wait(seconds=30).then(DeadLetter)
    (Wait(seconds=30, at_most=100000), DeadLetter)
    """

    seconds: float
    at_most: int = 100_000

    def then(self, step: Terminal) -> "tuple[Wait, Terminal]":
        """Set the step for a record whose partner does not arrive in time."""
        return (self, step)


Step: TypeAlias = Wait | Terminal
Missing: TypeAlias = Step | tuple[Step, ...]


def steps(missing: Missing) -> tuple[Step, ...]:
    """Return one or several steps as a chain."""
    return missing if isinstance(missing, tuple) else (missing,)
