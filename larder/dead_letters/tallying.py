"""The number of unsettled letters and their most frequent causes. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from larder.counters.cause_log import LONGEST_CAUSE, kind_of
from larder.counters.letter_counts import MOST_CAUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from larder.dead_letters.letters import Letter
    from larder.declaring.coordinates import Coordinates

MOST_SUBJECTS = 50
"""Subjects to list, those with the most letters: they are inputs and tables of a service."""

MOST_SAMPLES = 5
"""Letters to list for each cause, the newest of each partition."""


class CauseCount(NamedTuple):
    """A cause without the values of records, the number of letters of a subject that have it, and some of them."""

    subject: str
    cause: str
    letters: int
    samples: tuple[Coordinates, ...]


class Subject(NamedTuple):
    """The number of letters of a subject, and the lowest offset of their records, by partition."""

    name: str
    letters: int
    since: Mapping[int, int]


class Tally(NamedTuple):
    """Unsettled letters. `whole`: all records were counted, not only the newest."""

    total: int
    causes: tuple[CauseCount, ...]
    whole: bool
    subjects: tuple[Subject, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        causes = [
            {"topic": each.subject, "cause": each.cause, "count": each.letters, "samples": list(map(str, each.samples))}
            for each in self.causes
        ]
        topics = [
            {"topic": each.name, "count": each.letters, "since": {str(part): at for part, at in each.since.items()}}
            for each in self.subjects
        ]
        return {"total": self.total, "causes": causes, "topics": topics, "whole": self.whole}


def counted(letter: Letter) -> Letter:
    """Keep only what is needed for counting, so that many letters fit into memory; `tally` reduces the causes."""
    return letter._replace(key=None, value=None, headers=[], cause=letter.cause[:LONGEST_CAUSE])


def tally(letters: Iterable[Letter], *, whole: bool, subject: Callable[[Letter], str]) -> Tally:
    """Count letters by subject and kind of cause."""
    counts: Counter[tuple[str, str]] = Counter()
    samples: defaultdict[tuple[str, str], list[Coordinates]] = defaultdict(list)
    subjects: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for letter in letters:
        kind = subject(letter), kind_of(letter.cause)
        since = subjects[kind[0]]
        since[letter.id.partition] = min(letter.id.offset, since.get(letter.id.partition, letter.id.offset))
        counts[kind] += 1
        if len(samples[kind]) < MOST_SAMPLES:
            samples[kind].append(letter.id)
    causes = [CauseCount(*kind, count, tuple(samples[kind])) for kind, count in counts.most_common(MOST_CAUSES)]
    sums: Counter[str] = Counter()
    for (name, _), count in counts.items():
        sums[name] += count
    return Tally(
        counts.total(),
        tuple(causes),
        whole,
        tuple(Subject(name, count, subjects[name]) for name, count in sums.most_common(MOST_SUBJECTS)),
    )
