"""Passes rows to the partition of their own key in an internal topic, with another number of partitions.

Everything else stays: key, value, headers and time, and deletions. Rows of a key stay in order: they come from one
partition and go to one. A row that changes neither its key nor its place needs no memory, as other rekeyed rows do.
"""

from __future__ import annotations

from collections.abc import Sequence

from larder.declaring.dead_letters import cause_of
from larder.declaring.records import Record
from larder.delivery.output import Output
from larder.operators.context import PartitionContext


class MirrorStep:
    """Mirrors the rows of one input partition."""

    def __init__(self, output: Output, at: PartitionContext) -> None:
        self._output = output
        self._delivery = at.delivery
        self._dead_letters = at.dead_letters()
        self._carried = at.carried()

    def process(self, records: Sequence[Record]) -> None:
        columns = [(each, each.key, self._carried.passed_on(each)) for each in records]
        keys = [key for _, key, _ in columns]
        sure = None not in keys and self._delivery.takes_all(
            self._output, keys, [each.value for each in records], [headers for *_, headers in columns]
        )
        going = columns if sure else [each for each in columns if self._goes(each[0])]
        if going:
            self._delivery.emit_many(
                self._output,
                [key for _, key, _ in going],
                [record.value for record, *_ in going],
                [record.timestamp for record, *_ in going],
                by=[key for _, key, _ in going if key is not None],
                headers=[headers for *_, headers in going] if any(headers for *_, headers in going) else None,
            )

    def busy(self) -> bool:
        return False

    def _goes(self, record: Record) -> bool:
        """Return whether a record can be mirrored; dead-letter any other."""
        try:
            if record.key is None:
                message = "a row requires a message key; found null"
                raise ValueError(message)  # noqa: TRY301 - the one way to a dead letter
            headers = self._carried.passed_on(record)
            self._delivery.check(self._output, record.key, record.value, record.timestamp, headers)
        except ValueError as error:
            self._dead_letters.add(record, cause_of(error))
            return False
        return True
