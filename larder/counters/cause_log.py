"""Logs why records cannot be used: the first of each cause at once, and then how many more, once a minute.

Causes that differ in values alone are one cause, and the number of causes is bounded: an owner may send nothing but
nonsense.
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
"""Between two lines about one cause."""

LOOK_SECONDS = 1.0

MOST_KINDS = 20
"""Causes of one topic that are told apart; all others count as one."""

OTHER = "other causes"

# Quoted text, and words with a digit in them: keys, times, numbers. Names of types in backticks stay.
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|[\w.:+-]*\d[\w.:+-]*")
LONGEST_CAUSE = 300
"""Characters: what comes after them does not tell causes apart."""


def kind_of(cause: str) -> str:
    """Give a cause without the values of its record."""
    return _VALUE.sub("…", cause[:LONGEST_CAUSE])


class CauseLog:
    """What is wrong with records of `subject`: an input or a table. `counts`: since the start, by kind of cause."""

    def __init__(self, subject: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._subject = subject
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def note(self, partition: int, offset: int, cause: str) -> None:
        """Log the first record of a cause; count those that follow."""
        kind = kind_of(cause)
        if kind not in self._said_at and len(self._said_at) >= MOST_KINDS:
            kind = OTHER
        self.counts[kind] += 1
        if kind in self._said_at:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said_at[kind] = self._clock()
        log.warning(
            "%s: the record at offset %d of partition %d is parked: %s", self._subject, offset, partition, cause
        )

    def say_more(self, every: float = EVERY_SECONDS) -> None:
        """Log how many more there were of each cause that was last logged at least `every` seconds ago."""
        now = self._clock()
        for kind, more in list(self._unsaid.items()):
            if now - self._said_at[kind] >= every:
                self._said_at[kind] = now
                del self._unsaid[kind]
                log.warning("%s: %d more parked: %s", self._subject, more, kind)


class CauseLogs:
    """The log of each input topic of a worker, through all its assignments."""

    def __init__(self) -> None:
        self._by_topic: dict[str, CauseLog] = {}

    def of(self, topic: str) -> CauseLog:
        """Give the log of a topic's records."""
        return self._by_topic.setdefault(topic, CauseLog(f"input {topic}"))

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Give how many records were parked since the start, by topic and kind of cause."""
        return {topic: each.counts for topic, each in self._by_topic.items()}

    def all(self) -> Iterable[CauseLog]:
        """Give those of all topics that were asked for."""
        return list(self._by_topic.values())


async def say_causes(logs: Callable[[], Iterable[CauseLog]]) -> None:
    """Say what is due until cancelled, and then the rest."""
    try:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for each in logs():
                each.say_more()
    finally:
        for each in logs():
            each.say_more(every=0)
