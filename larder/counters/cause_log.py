"""Logs why records cannot be used: the first record of each cause at once, then the number of others once a minute.

Causes that differ only in values count as one. The number of causes is bounded, since an owner may send nothing but
invalid records.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger("larder")

EVERY_SECONDS = 60.0
"""The time between two lines about one cause."""

LOOK_SECONDS = 1.0

MOST_KINDS = 20
"""How many causes of one topic are distinguished; all others count as one."""

OTHER = "other causes"

# Quoted texts, and words with a digit in them: keys, times, numbers. Names of types in backticks stay.
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|[\w.:+-]*\d[\w.:+-]*")
LONGEST_CAUSE = 300
"""In characters. The rest of a cause is ignored."""


def kind_of(cause: str) -> str:
    """Return a cause without the values of its record."""
    return _VALUE.sub("…", cause[:LONGEST_CAUSE])


class CauseLog:
    """The causes of unusable records of `subject`, an input or a table. `counts`: since the start, by kind of cause."""

    def __init__(self, subject: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._subject = subject
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def note(self, partition: int, offset: int, cause: str) -> None:
        """Log the first record of a cause; count those that follow."""
        kind = kind_of(cause)
        if kind not in self._logged_at and len(self._logged_at) >= MOST_KINDS:
            kind = OTHER
        self.counts[kind] += 1
        if kind in self._logged_at:
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return
        self._logged_at[kind] = self._clock()
        log.warning(
            "%s: the record at offset %d of partition %d cannot be used: %s", self._subject, offset, partition, cause
        )

    def log_others(self, every: float = EVERY_SECONDS) -> None:
        """Log the number of other records of each cause that was last logged at least `every` seconds ago."""
        now = self._clock()
        for kind, more in list(self._unlogged.items()):
            if now - self._logged_at[kind] >= every:
                self._logged_at[kind] = now
                del self._unlogged[kind]
                log.warning("%s: %d more cannot be used: %s", self._subject, more, kind)


class CauseLogs:
    """The logs of the input topics of a worker, across its assignments."""

    def __init__(self) -> None:
        self._by_topic: dict[str, CauseLog] = {}

    def of(self, topic: str) -> CauseLog:
        """Return the log of a topic's records."""
        return self._by_topic.setdefault(topic, CauseLog(f"input {topic}"))

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many records could not be used since the start, by topic and kind of cause."""
        return {topic: each.counts for topic, each in self._by_topic.items()}

    def all(self) -> Iterable[CauseLog]:
        """Return all logs."""
        return list(self._by_topic.values())


async def log_causes(logs: Callable[[], Iterable[CauseLog]]) -> None:
    """Log due lines until cancelled, and then the rest."""
    try:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for each in logs():
                each.log_others()
    finally:
        for each in logs():
            each.log_others(every=0)
