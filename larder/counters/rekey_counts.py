"""The outcomes of records of a `.by` that were not sent."""

from dataclasses import dataclass


@dataclass
class RekeyCounts:
    """Counts of one `.by` in one worker.

    dropped   records whose field is null, which `missing=Drop` leaves out.
    """

    dropped: int = 0
