"""The role of a table in its service: who writes it, where its rows are, and what the service requires of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class TableRole:
    """`by_key`: each row must be in the partition of its key.

    `followed`: another service writes it, and may publish anything. `internal`: only this service may write it.
    `decided_on`: it is the state of a decide. `mirrored`: this service passes the rows into the topic that it reads.

    The rest is what the operator of the service allows. With `gaps_allowed`, a table is built from what remains of a
    topic whose records were deleted. `losses_accepted` names tables, each with its row type, that may continue without
    their lost rows (see `lost_rows.accepted_as`).
    """

    by_key: bool = False
    followed: bool = False
    internal: bool = False
    decided_on: bool = False
    mirrored: bool = False
    gaps_allowed: bool = False
    losses_accepted: Collection[str] = ()

    @property
    def needs_each_row(self) -> bool:
        """Whether operators that use it are held back while one of its rows is unreadable."""
        return self.decided_on or self.internal
