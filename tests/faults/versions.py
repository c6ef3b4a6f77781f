"""What a key's row was, when, according to its owner's topic: a model that knows nothing of workers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.faults.history import NEVER, Seen, Written


class Version(NamedTuple):
    """A row, or its deletion (None). `offsets` has more than one where the owner wrote it twice.

    `sent` and `acked` bound the moment in which it came into the log.
    """

    row: dict[str, Any] | None
    revision: int
    partition: int
    offsets: tuple[int, ...]
    sent: float
    acked: float


NOTHING = Version(None, -1, -1, (), 0.0, 0.0)
"""Before a key's first row."""


class Versions:
    """All versions of all keys of one owner topic, in the order of their revisions."""

    def __init__(self, topic: str, written: Iterable[Written], seen: Iterable[Seen]) -> None:
        places: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
        for record in seen:
            if record.topic == topic:
                places[record.key, revision_of(record)].add((record.partition, record.offset))
        writes: dict[tuple[str, int], list[Written]] = defaultdict(list)
        for write in written:
            if write.topic == topic and write.revision is not None:
                writes[write.key, write.revision].append(write)
                if write.acked != NEVER:
                    places[write.key, write.revision].add((write.partition, write.offset))
        self._by_key: dict[str, list[Version]] = {}
        for (key, revision), same in sorted(writes.items()):
            if there := sorted(places[key, revision]):
                offsets = tuple(offset for _, offset in there)
                sent, acked = min(each.sent for each in same), min(each.acked for each in same)
                version = Version(same[0].value, revision, there[0][0], offsets, sent, acked)
                self._by_key.setdefault(key, [NOTHING]).append(version)

    def of(self, key: str) -> Sequence[Version]:
        return self._by_key.get(key, [NOTHING])

    def last(self, key: str) -> Version:
        """How it is once all is quiet."""
        return self.of(key)[-1]

    def used(self, key: str, row: dict[str, Any]) -> Version | None:
        """The version that has this row; None: it was never published."""
        return next((each for each in self.of(key) if each.row == row), None)

    def possible(self, key: str, since: float, until: float) -> Sequence[Version]:
        """What a reader that knows all that was there at `since`, and perhaps more, may find up to `until`."""
        all_of_it = self.of(key)
        oldest = max((place for place, each in enumerate(all_of_it) if each.acked <= since), default=0)
        return [each for each in all_of_it[oldest:] if each.sent <= until]

    def ever_absent(self, key: str, since: float) -> bool:
        """Whether there may have been no row at some moment from `since` on."""
        return any(each.row is None for each in self.possible(key, since, NEVER))

    def at(self, key: str, partition: int, position: int) -> Version:
        """How it is for a reader that has applied its partition up to `position`."""
        before = [
            each
            for each in self.of(key)
            if each.partition == partition and each.offsets and min(each.offsets) < position
        ]
        return before[-1] if before else NOTHING


def revision_of(record: Seen) -> int:
    """That of the row; that of a deletion is in a header, or -1 where its writer did not say."""
    return int(record.headers.get("larder.revision", -1) if record.value is None else record.value["revision"])
