"""Whether a worker is ready: each table that it has was caught up once, and it has its place in the group.

Once it is, it stays so until it stops: rows are answered, with their age, while partitions move or the broker is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from app.lookup import state_name
from tables.engine import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from app.lookup import LocalTable

UNTIL = frozenset({"stopping", "stopped"})


class Running(Protocol):
    """What runs a service."""

    @property
    def phase(self) -> str:
        """What it is doing."""

    @property
    def has_place(self) -> bool:
        """Whether partitions were assigned to it, or there is no group."""

    @property
    def tables(self) -> Mapping[str, LocalTable]:
        """Its tables by name."""


class Readiness:
    """Asked time and again; gives what is missing, nothing when it is ready."""

    def __init__(self, running: Running, declared: Sequence[str]) -> None:
        """`declared` are the tables that have to be caught up once."""
        self._running = running
        self._declared = declared
        self._was = False

    def __call__(self) -> Sequence[str]:
        """Give what is missing."""
        phase = self._running.phase
        if phase in UNTIL:
            return [f"it is {phase}"]
        if not self._was:
            missing = list(self._missing(phase))
            if missing:
                return missing
            self._was = True
        return []

    def _missing(self, phase: str) -> Iterator[str]:
        if phase != "running":
            yield f"it is {phase}"
        if not self._running.has_place:
            yield "it has no place in its group yet"
        for name in self._declared:
            table = self._running.tables[name].table
            for partition in table.partitions:
                state = table.state(partition)
                if state.phase < Phase.CAUGHT_UP:
                    end = "?" if state.end is None else state.end
                    yield f"table {name} partition {partition} {state_name(state.phase)}, at {state.position} of {end}"
