"""Events that users' functions emit: checked together, collected, and published topic by topic, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from larder.delivery.delivery import Delivery
from larder.delivery.output import NO_HEADERS, Headers, Output

EventTo = tuple[Output, bytes, bytes]
"""The topic of an event, its key and its value."""


class EmittedEvents:
    """Events of one partition on their way to the delivery."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._collected: defaultdict[Output, list[tuple[bytes, bytes, int, Headers]]] = defaultdict(list)

    def check(self, events: Sequence[EventTo], timestamp: int) -> None:
        """Raise ValueError if one of them cannot be published."""
        for output, key, value in events:
            self._delivery.check(output, key, value, timestamp)

    def collect(self, events: Sequence[EventTo], timestamp: int, carried: Headers = NO_HEADERS) -> None:
        """Keep events until they are flushed; `timestamp` is in milliseconds since the epoch."""
        for output, key, value in events:
            self._collected[output].append((key, value, timestamp, carried))

    def flush(self) -> None:
        """Emit the collected events, those of each topic in order."""
        for output, events in self._collected.items():
            keys, values, timestamps, carried = zip(*events, strict=True)
            self._delivery.emit_many(output, keys, values, timestamps, keys, carried=carried if any(carried) else None)
        self._collected.clear()
