"""Results of rows that are joined into rows: what a row becomes, and that it becomes nothing.

A deletion is passed on. A row that has no result (dropped, parked, not wanted) deletes what was joined with an
older revision of it: a row that no longer holds must not stay. Results of rekeyed rows carry the revision of
their row, by which they are brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.engine.headers import AFTER_HEADER, MOVED_HEADER
from agents.engine.partitioning import partition_of
from agents.engine.publishing import Delivery, Headers, Output
from tables.declaring.records import Record
from tables.engine.tombstones import REVISION_HEADER


class RowResults:
    """Where the results of one input partition go; `revision` reads that of a row, and is None where there is none."""

    def __init__(
        self,
        output: Output,
        delivery: Callable[[], Delivery],
        revision: Callable[[bytes | None], int] | None,
        *,
        gathered: bool,
    ) -> None:
        self._output = output
        self._delivery = delivery
        self._revision = revision
        self._gathered = gathered

    def headers(self, records: Sequence[Record]) -> Sequence[Headers] | None:
        """Those of the results of `records`."""
        return [self._revised(record) for record in records] if self._gathered else None

    def deleted(self, record: Record) -> None:
        """A row was deleted: so is its result. One that has moved has its results elsewhere."""
        known = [header for header in record.headers if header[0] in {REVISION_HEADER, AFTER_HEADER}]
        if MOVED_HEADER not in dict(record.headers):
            self._delete(record, known)

    def none(self, record: Record) -> None:
        """A row has no result: what an older revision of it had is deleted."""
        try:
            headers = self._revised(record)
        except ValueError:
            # Nothing says which row of its key this is; the one before stays, as it does in tables.
            return
        self._delete(record, headers)

    def _revised(self, record: Record) -> Headers:
        return [] if self._revision is None else [(REVISION_HEADER, b"%d" % self._revision(record.value))]

    def _delete(self, record: Record, headers: Headers) -> None:
        if record.key is not None:
            partition = partition_of(record.key, self._output.partitions)
            self._delivery().emit(self._output, partition, record.key, None, record.timestamp, headers)
