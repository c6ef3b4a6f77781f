"""The row of a key at any time, according to its owner's topic: a model that knows nothing of workers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.faults.history import NEVER, Seen, Written


class Version(NamedTuple):
    """A row, or its deletion (None). `offsets` has more than one if the owner wrote it twice.

    It came into the log between `sent` and `acked`.
    """

    row: dict[str, Any] | None
    revision: int
    partition: int
    offsets: tuple[int, ...]
    sent: float
    acked: float


NOTHING = Version(None, -1, -1, (), 0.0, 0.0)
"""The version before a key's first row."""


class Versions:
    """All versions of all keys of one owner topic, in the order of their revisions.

    `copied` are the records of the internal topic from which workers read it, if any: then their places count.
    """

    def __init__(
        self, topic: str, written: Iterable[Written], seen: Iterable[Seen], copied: Sequence[Seen] = ()
    ) -> None:
        places: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
        for record in copied or seen:
            if copied or record.topic == topic:
                places[record.key, revision_of(record)].add((record.partition, record.offset))
        writes: dict[tuple[str, int], list[Written]] = defaultdict(list)
        for write in written:
            if write.topic == topic and write.revision is not None:
                writes[write.key, write.revision].append(write)
                if write.acked != NEVER and not copied:
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
        """Return the newest version."""
        return self.of(key)[-1]

    def used(self, key: str, row: dict[str, Any]) -> Version | None:
        """Return the version with this row, or None if it was never published."""
        return next((each for each in self.of(key) if each.row == row), None)

    def possible(self, key: str, since: float, until: float) -> Sequence[Version]:
        """Return the versions that a reader may find up to `until` if it knows everything written before `since`."""
        all_of_it = self.of(key)
        oldest = max((place for place, each in enumerate(all_of_it) if each.acked <= since), default=0)
        return [each for each in all_of_it[oldest:] if each.sent <= until]

    def ever_absent(self, key: str, since: float) -> bool:
        """Return whether there may have been no row at some moment after `since`."""
        return any(each.row is None for each in self.possible(key, since, NEVER))

    def at(self, key: str, partition: int, position: int) -> Version:
        """Return the version for a reader that has applied its partition up to `position`."""
        before = [
            each
            for each in self.of(key)
            if each.partition == partition and each.offsets and min(each.offsets) < position
        ]
        return before[-1] if before else NOTHING


def revision_of(record: Seen) -> int:
    """Return the revision of a row. That of a deletion is in a header, or -1 if the writer set none."""
    return int(record.headers.get("larder.revision", -1) if record.value is None else record.value["revision"])
