"""What becomes of an order whose partner is missing.

One step, or `Wait` and the step after it. This module keeps the words only; what
they do is done where records are.
"""

from dataclasses import dataclass
from typing import TypeAlias

from larder.declaring.missing_fields import DeadLetter, Drop, PassOn, Terminal

__all__ = ["DeadLetter", "Drop", "Missing", "PassOn", "Step", "Terminal", "Wait", "steps"]


@dataclass(frozen=True)
class Wait:
    """Keep an order until its partner comes, but not for ever.

    seconds   how long an order waits, measured by the partner's table: the deadline
              passes only once the table has read what was there at that moment.
    at_most   how many orders wait in one input partition; beyond it the oldest take
              the next step at once.

    Waiting orders lie in a compacted topic of the service, so that they survive the
    loss of their worker. What follows the wait has to be said:

    >>> Wait(seconds=30).then(DeadLetter)
    (Wait(seconds=30, at_most=100000), DeadLetter)
    """

    seconds: float
    at_most: int = 100_000

    def then(self, step: Terminal) -> "tuple[Wait, Terminal]":
        """Say what becomes of an order whose partner has not come in time."""
        return (self, step)


Step: TypeAlias = Wait | Terminal
Missing: TypeAlias = Step | tuple[Step, ...]


def steps(missing: Missing) -> tuple[Step, ...]:
    """Give the chain of steps, also for a single one."""
    return missing if isinstance(missing, tuple) else (missing,)
