"""Pages of a list of letters, newest first, from entries that were read backwards from each partition's end. Pure.

The record that settles a letter comes after it, so a backward reader finds that record first.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from larder.config.errors import MistakeError
from larder.dead_letters.letters import Letter, Settlement
from larder.declaring.problems import Problem
from larder.queries.positions import positions_text, read_positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from larder.dead_letters.letters import LetterIdentity


class LetterPage(NamedTuple):
    """Letters, newest first, without their values.

    next    the cursor of the next page; None after the last one.
    beyond  there are older records, which were not read.
    """

    letters: list[Letter]
    next: str | None
    beyond: bool


class PartitionLetters(NamedTuple):
    """The letters of one partition, newest first, and whether there are older records."""

    letters: list[Letter]
    beyond: bool


class Newest:
    """Collects unsettled letters, each once, from entries that are read backwards."""

    def __init__(self) -> None:
        """Create it without letters."""
        self._letters: dict[LetterIdentity, Letter] = {}
        self._settled: set[LetterIdentity] = set()

    @property
    def letters(self) -> list[Letter]:
        """The letters found so far, newest first."""
        return list(self._letters.values())

    def take(self, entries: Iterable[Letter | Settlement]) -> None:
        """Take older entries, from the newest to the oldest."""
        for entry in entries:
            if isinstance(entry, Settlement):
                self._settled.add(entry.identity)
                # A letter that was written again comes after the record that settled it.
                self._letters.pop(entry.identity, None)
            elif entry.identity not in self._settled:
                self._letters.setdefault(entry.identity, entry)


def page(found: Mapping[int, PartitionLetters], limit: int, before: Mapping[int, int]) -> LetterPage:
    """Return the newest `limit` letters of all partitions; `before` is the cursor that the search started from."""
    streams = [each.letters for each in found.values()]
    newest = heapq.merge(*streams, key=lambda letter: -letter.place.at)
    letters = [letter for letter, _ in zip(newest, range(limit), strict=False)]
    more = len(letters) < sum(map(len, streams))
    # The offsets of each partition fall along the list, so the last one is the lowest.
    lowest = {**before, **{letter.place.partition: letter.place.offset for letter in letters}}
    beyond = not more and any(each.beyond for each in found.values())
    return LetterPage(letters, positions_text(lowest) if more else None, beyond)


def read_cursor(text: str) -> dict[int, int]:
    """Read, for each partition, the offset below which a page begins; raises `MistakeError` for a forged text."""
    if (before := read_positions(text)) is None:
        problem = Problem("cursor", "requires what an answer gave as next", repr(text[:80]), "leave it out")
        raise MistakeError(problem)
    return before
