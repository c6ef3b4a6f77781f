"""What a table is to the service that keeps it: who writes it, where its rows lie, and what the service requires."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class TableRole:
    """`by_key`: each row must lie in the partition that its key belongs to.

    Who writes it: `followed` if another service may, which can publish anything; `internal` if only this service may.
    `decided_on`: it is the state of a decide.

    What the operator of the service allowed: with `gaps_allowed` a table is built from what is left of a topic whose
    records were deleted; `losses_accepted` names tables, each with its row type, that may go on without lost rows (see
    `lost_rows.accepted_as`).
    """

    by_key: bool = False
    followed: bool = False
    internal: bool = False
    decided_on: bool = False
    gaps_allowed: bool = False
    losses_accepted: Collection[str] = ()

    @property
    def needs_each_row(self) -> bool:
        """Whether the operators that use it are held back while one of its rows cannot be read."""
        return self.decided_on or self.internal
