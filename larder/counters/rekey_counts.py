"""What became of records that `.by` sends on, beyond those that it sends."""

from dataclasses import dataclass


@dataclass
class RekeyCounts:
    """Counts of one `.by` in one worker.

    dropped   records with null in the field, which `missing=Drop` leaves out.
    """

    dropped: int = 0
