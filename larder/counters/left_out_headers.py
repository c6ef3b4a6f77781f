"""How many records went on without the headers that go along, by topic."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger("larder")


class LeftOutHeaders:
    """`counts` only rise. The first record of each cause is logged; a topic has few causes."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: set[tuple[str, str]] = set()

    def note(self, topic: str, cause: str) -> None:
        """Count a record of a topic that goes on without them."""
        self.counts[topic] += 1
        if (topic, cause) not in self._logged:
            self._logged.add((topic, cause))
            log.warning("topic %s: a record goes on without its carried headers: %s", topic, cause)
