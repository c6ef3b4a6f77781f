"""Dead letters of one partition: records that could not be handled, kept with their cause.

The key is the record's coordinates, so that a repeated dead letter replaces the first. A dead letter always fits its
topic: a refused one would be retried forever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiokafka.structs import TopicPartition

from larder.counters.cause_log import CauseLog
from larder.declaring.dead_letters import cause_of, dead_letter, fitting, origin
from larder.declaring.one_form import as_sent
from larder.declaring.records import Record
from larder.delivery.delivery import Delivery
from larder.delivery.output import RECORD_OVERHEAD, Output


class DeadLetters:
    """Sends records of `tp` to the dead letters of `service`, and logs their causes."""

    def __init__(
        self,
        service: str,
        tp: TopicPartition,
        output: Output,
        delivery: Delivery,
        causes: CauseLog | None = None,
        step: str = "",
    ) -> None:
        """`step` is the step that sends them, and that processes them again when they are replayed."""
        self._service = service
        self._tp = tp
        self._output = output
        self._delivery = delivery
        self._step = step
        self._causes = causes or CauseLog(f"input {tp.topic}")

    def handle_each(self, records: Sequence[Record], handle: Callable[[Record], None]) -> None:
        """Handle records one after the other; one that raises ValueError goes to the dead letters."""
        for record in records:
            try:
                handle(record)
            except ValueError as error:
                self.add(record, cause_of(error))

    def add(self, record: Record, cause: str) -> None:
        """Send a record of an input to the dead letters."""
        self._causes.note(self._tp.partition, record.offset, cause)
        self.add_rejected(record, cause)

    def add_rejected(self, record: Record, cause: str) -> None:
        """Send a record to the dead letters that its table has rejected and logged."""
        whole = dead_letter(self._service, self._tp.topic, self._tp.partition, as_sent(record), cause, self._step)
        letter = fitting(whole, self._output.max_bytes - RECORD_OVERHEAD)
        self._delivery.emit(
            self._output,
            origin(self._tp.topic, self._tp.partition, record).partition % self._output.partitions,
            letter.key,
            letter.value,
            record.timestamp,
            letter.headers,
        )
