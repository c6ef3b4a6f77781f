"""The outcome of settling letters, and its progress. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from larder.dead_letters.letters import Name, Settlement


class SettlingProgress(NamedTuple):
    """Records read of the dead letters' topic, their total number (each is read twice), and letters settled so far."""

    looked_at: int
    records: int
    settled: int


@dataclass
class SettlingOutcome:
    """The outcome for each chosen letter, by name.

    settled  replayed or discarded just now; with the coordinates of the replayed record, if there is one
    already  chosen by id, but settled before
    left     cannot be replayed, and why
    """

    settled: dict[Name, str | None] = field(default_factory=dict)
    already: dict[Name, Settlement] = field(default_factory=dict)
    left: dict[Name, str] = field(default_factory=dict)
