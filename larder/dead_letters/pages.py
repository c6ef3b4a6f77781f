"""Pages of a list of letters, newest first, out of what was read backwards from the end of each partition. Pure.

What settles a letter lies behind it, so that whoever reads backwards meets that first.
"""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING, NamedTuple

from larder.config.errors import MistakeError
from larder.dead_letters.letters import Letter, Settlement
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from larder.dead_letters.letters import LetterIdentity


# Characters: so many write down four hundred partitions.
LONGEST_CURSOR = 10_000


class LetterPage(NamedTuple):
    """Letters, newest first, without their values.

    next    where the next page begins; None after the last one.
    beyond  there are older records, which were not looked at.
    """

    letters: list[Letter]
    next: str | None
    beyond: bool


class PartitionLetters(NamedTuple):
    """What was found of one partition: letters, newest first, and whether there are older records."""

    letters: list[Letter]
    beyond: bool


class Newest:
    """Collects letters that are not settled, each once, out of what is read backwards."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._letters: dict[LetterIdentity, Letter] = {}
        self._settled: set[LetterIdentity] = set()

    @property
    def letters(self) -> list[Letter]:
        """What was found so far, newest first."""
        return list(self._letters.values())

    def take(self, entries: Iterable[Letter | Settlement]) -> None:
        """Go on with older entries, from the newest to the oldest."""
        for entry in entries:
            if isinstance(entry, Settlement):
                self._settled.add(entry.identity)
                # One that was parked again lies behind what has settled it.
                self._letters.pop(entry.identity, None)
            elif entry.identity not in self._settled:
                self._letters.setdefault(entry.identity, entry)


def page(found: Mapping[int, PartitionLetters], limit: int, before: Mapping[int, int]) -> LetterPage:
    """Give the newest `limit` of what was found in all partitions; `before` as it was when that was sought."""
    streams = [each.letters for each in found.values()]
    newest = heapq.merge(*streams, key=lambda letter: -letter.place.at)
    letters = [letter for letter, _ in zip(newest, range(limit), strict=False)]
    more = len(letters) < sum(map(len, streams))
    # Of each partition the offsets fall along the list, so that the last one is the lowest.
    lowest = {**before, **{letter.place.partition: letter.place.offset for letter in letters}}
    beyond = not more and any(each.beyond for each in found.values())
    return LetterPage(letters, cursor(lowest) if more else None, beyond)


def cursor(before: Mapping[int, int]) -> str:
    """Write down, for each partition, below which offset the next page begins."""
    return ".".join(f"{partition}-{offset}" for partition, offset in sorted(before.items()))


def read_cursor(text: str) -> dict[int, int]:
    """Read what `cursor` wrote; raises `MistakeError` for anything else."""
    if len(text) > LONGEST_CURSOR or not re.fullmatch(r"[0-9]{1,6}-[0-9]{1,19}(\.[0-9]{1,6}-[0-9]{1,19})*", text):
        problem = Problem("cursor", "requires what an answer gave as next", repr(text[:80]), "leave it out")
        raise MistakeError(problem)
    return {int(partition): int(offset) for partition, _, offset in (each.partition("-") for each in text.split("."))}
