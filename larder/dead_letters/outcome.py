"""What became of the letters that were to be settled, and how far it has come. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from larder.dead_letters.letters import Name, Settlement


class SettlingProgress(NamedTuple):
    """Records of the dead letters that were looked at, of how many (each is twice), and letters settled by now."""

    looked_at: int
    records: int
    settled: int


@dataclass
class SettlingOutcome:
    """What became of the letters that were chosen, by name.

    settled  replayed or discarded just now; with where the replayed record lies, if any
    already  asked for by id, and settled before
    left     could not be replayed, and why
    """

    settled: dict[Name, str | None] = field(default_factory=dict)
    already: dict[Name, Settlement] = field(default_factory=dict)
    left: dict[Name, str] = field(default_factory=dict)
