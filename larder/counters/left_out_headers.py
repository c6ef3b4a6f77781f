"""How many records went on without the headers that go along, by topic and cause."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger("larder")


class LeftOutHeaders:
    """`counts` only rise. The causes of a topic are few, and the first record of each is logged."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def note(self, topic: str, cause: str) -> None:
        """Count a record of a topic that goes on without them."""
        self.counts[topic, cause] += 1
        if self.counts[topic, cause] == 1:
            log.warning("topic %s: a record goes on without its carried headers: %s", topic, cause)
