"""What is done with the records of one partition, by what the partition is for.

Each handler is handed slices in the order of the log by the one processing loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Protocol

from aiokafka.structs import TopicPartition

from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.dead_letters import cause_of
from larder.declaring.keys import BYTES, KeyType
from larder.declaring.one_form import in_one_form
from larder.declaring.records import Record
from larder.delivery.dead_letters import Parking
from larder.delivery.delivery import Delivery
from larder.delivery.output import Headers, Output
from larder.local_tables.table import LocalTable
from larder.store.records import Rejected

_has_headers = attrgetter("headers")


class InputStep(Protocol):
    """One declaration on an input partition."""

    def process(self, records: Sequence[Record]) -> None: ...

    def busy(self) -> bool:
        """It cannot take more just now."""


class TableHandler:
    """A partition of a table: rows into its store, and what is no row to the dead letters.

    The store knows which of them are published, so that none is lost where the process ends in between.
    """

    def __init__(
        self, table: LocalTable, partition: int, parking: Parking, delivery: Delivery
    ) -> None:  # fmt: skip
        self._table = table
        self._partition = partition
        self._parking = parking
        self._delivery = delivery

    def process(self, records: Sequence[Record], position: int) -> None:
        rejected = self._table.take(self._partition, records, position)
        if rejected:
            self._publish(rejected, position)

    def publish_left_over(self) -> None:
        """Publish what the store kept and nobody is known to have published."""
        left = [Rejected(record, record.cause) for record in self._table.unpublished(self._partition)]
        if left:
            self._publish(left, left[-1].record.offset + 1)

    def _publish(self, rejected: Sequence[Rejected], position: int) -> None:
        strangers = self._table.strangers(self._partition, [record for record, _ in rejected])
        elsewhere = {each.record.offset for each in strangers}
        for record, cause in rejected:
            # What holds others back is a row still, which another row type may read: no letter to be settled.
            held_back = self._table.needs_each_row and self._table.is_unreadable(self._partition, record.key)
            if not held_back or record.offset in elsewhere:
                self._parking.park_rejected(record, cause)
        offsets = [each.record.offset for each in rejected]
        # Where the table goes on is known to its store; the offset fences the dead letters.
        self._delivery.done(TopicPartition(self._table.topic.name, self._partition), position)
        self._delivery.unit.afterwards.append(partial(self._table.published, self._partition, offsets))

    def busy(self) -> bool:
        return False


class InputHandler:
    """An input partition: all declarations on it, then its offset. `steps` are the declarations by their names."""

    def __init__(
        self,
        tp: TopicPartition,
        steps: Mapping[str, InputStep],
        delivery: Delivery,
        key_type: KeyType = BYTES,
    ) -> None:
        """`key_type`: that of the message keys, which stages get in one form."""
        self.steps = steps
        self.key_type = key_type
        self._tp = tp
        self._delivery = delivery

    def process(self, records: Sequence[Record], position: int) -> None:
        if records:
            formed = in_one_form(records, self.key_type)
            for stage in self.steps.values():
                stage.process(formed)
        self._delivery.done(self._tp, position)

    def busy(self) -> bool:
        return any(stage.busy() for stage in self.steps.values())


class Rekeying:
    """Sends the records of an input partition to where the value of one of their fields belongs.

    The message key stays, and so do headers. Records with equal values in the field stay in their order,
    because they come from here in order and go to one partition.
    """

    def __init__(
        self,
        key_of: Callable[[bytes | None], bytes | None],
        output: Output,
        delivery: Delivery,
        parking: Parking,
        counts: RekeyCounts,
    ) -> None:
        """`key_of` gives None for a record that is left out."""
        self._key_of = key_of
        self._output = output
        self._delivery = delivery
        self._parking = parking
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
        """The key to go by; None for a record that is left out, and for one that is parked."""
        try:
            key = self._key_of(record.value)
        except ValueError as error:
            self._parking.park(record, cause_of(error))
            return None
        if key is None:
            self._counts.dropped += 1
            return None
        if sure:
            return key
        refusal = self._delivery.refusal(self._output, record.key, record.value, record.timestamp, list(record.headers))
        if refusal is not None:
            self._parking.park(record, refusal)
            return None
        return key


def _headers(records: Sequence[Record]) -> Sequence[Headers] | None:
    """The headers of each record; None where none has any."""
    return [list(each.headers) for each in records] if any(map(_has_headers, records)) else None
