"""Events that come of functions of users: checked together, collected, and emitted topic by topic in their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from larder.delivery.delivery import Delivery
from larder.delivery.output import Output


class EventTo(NamedTuple):
    """An event, and the topic that it goes to."""

    output: Output
    key: bytes
    value: bytes


class EmittedEvents:
    """Events of one partition on their way to the delivery."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._collected: defaultdict[Output, list[tuple[bytes, bytes, int]]] = defaultdict(list)

    def check(self, events: Sequence[EventTo], timestamp: int) -> None:
        """Raise ValueError if one of them cannot be published."""
        for output, key, value in events:
            self._delivery.check(output, key, value, timestamp)

    def collect(self, events: Sequence[EventTo], timestamp: int) -> None:
        """Keep events until they are flushed; `timestamp` in milliseconds since the epoch."""
        for output, key, value in events:
            self._collected[output].append((key, value, timestamp))

    def flush(self) -> None:
        """Emit what was collected, each topic's events in their order."""
        for output, events in self._collected.items():
            keys, values, timestamps = zip(*events, strict=True)
            self._delivery.emit_many(output, keys, values, timestamps, keys)
        self._collected.clear()
