"""Passes events to the partition to which the value of one of their fields belongs.

Message key and headers stay the same. Events with equal values in the field stay in order: they come from here in order
and go to one partition.
"""

from __future__ import annotations

from collections.abc import Sequence

from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.compiled.joins import CompiledRekey
from larder.declaring.dead_letters import cause_of
from larder.declaring.records import Record
from larder.delivery.output import Output
from larder.operators.context import PartitionContext


class RekeyEventsStep:
    """Rekeys the events of one input partition."""

    def __init__(self, keys: CompiledRekey, output: Output, at: PartitionContext, counts: RekeyCounts) -> None:
        self._keys = keys
        self._output = output
        self._delivery = at.delivery
        self._dead_letters = at.dead_letters()
        self._carried = at.carried()
        self._counts = counts

    def process(self, records: Sequence[Record]) -> None:
        values = [record.value for record in records]
        headers = self._carried.all_passed_on(records)
        sure = self._delivery.takes_all(self._output, [record.key for record in records], values, headers)
        try:
            keys = self._keys.many(values) if sure else None
        except ValueError:
            keys = None
        if keys is None:
            records, keys = self._publishable(records, sure=sure)
        self._counts.dropped += keys.count(None)
        if None in keys:
            records = [record for record, key in zip(records, keys, strict=True) if key is not None]
        self._delivery.emit_many(
            self._output,
            [record.key for record in records],
            [record.value for record in records],
            [record.timestamp for record in records],
            by=[key for key in keys if key is not None],
            headers=self._carried.all_passed_on(records),
        )

    def busy(self) -> bool:
        return False

    def _publishable(self, records: Sequence[Record], *, sure: bool) -> tuple[list[Record], list[bytes | None]]:
        """Return the records that can be published, and their keys; the others are dead-lettered."""
        keys: list[bytes | None] = []
        going: list[Record] = []
        for record in records:
            try:
                key = self._keys.one(record.value)
                if key is not None and not sure:
                    headers = self._carried.passed_on(record)
                    self._delivery.check(self._output, record.key, record.value, record.timestamp, headers)
            except ValueError as error:
                self._dead_letters.add(record, cause_of(error))
            else:
                going.append(record)
                keys.append(key)
        return going, keys
