"""Passes events to the partition to which the value of one of their fields belongs.

Message key and headers stay the same. Events with equal values in the field stay in order: they come from here in order
and go to one partition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.dead_letters import cause_of
from larder.declaring.records import Record
from larder.delivery.output import Headers, Output
from larder.operators.context import PartitionContext

_has_headers = attrgetter("headers")


class RekeyEventsStep:
    """Rekeys the events of one input partition."""

    def __init__(
        self,
        key_of: Callable[[bytes | None], bytes | None],
        output: Output,
        at: PartitionContext,
        counts: RekeyCounts,
    ) -> None:
        """`key_of` returns None for a record that is left out."""
        self._key_of = key_of
        self._output = output
        self._delivery = at.delivery
        self._dead_letters = at.dead_letters()
        self._counts = counts

    def process(self, records: Sequence[Record]) -> None:
        delivery = self._delivery
        sure = delivery.takes_all(
            self._output, [each.key for each in records], [each.value for each in records], _headers(records)
        )
        going = [(record, key) for record in records if (key := self._key(record, sure=sure)) is not None]
        delivery.emit_many(
            self._output,
            [record.key for record, _ in going],
            [record.value for record, _ in going],
            [record.timestamp for record, _ in going],
            by=[key for _, key in going],
            headers=_headers([record for record, _ in going]),
        )

    def busy(self) -> bool:
        return False

    def _key(self, record: Record, *, sure: bool) -> bytes | None:
        """Return the key to partition by; None for a record that is left out or dead-lettered."""
        try:
            key = self._key_of(record.value)
            if key is not None and not sure:
                headers = list(record.headers)
                self._delivery.check(self._output, record.key, record.value, record.timestamp, headers)
        except ValueError as error:
            self._dead_letters.add(record, cause_of(error))
            return None
        if key is None:
            self._counts.dropped += 1
        return key


def _headers(records: Sequence[Record]) -> Sequence[Headers] | None:
    """Return the headers of each record; None if no record has any."""
    return [list(each.headers) for each in records] if any(map(_has_headers, records)) else None
