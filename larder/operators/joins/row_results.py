"""Results of rows that are joined into rows: what a row becomes, and that it becomes nothing.

A deletion is passed on. A row that has no result (dropped, parked, not wanted) deletes what was joined with an
older revision of it: a row that no longer holds must not stay. A record that is no row at all changes nothing: the
row before it holds, as it does in tables. Results of rekeyed rows carry the revision of their row, by which they are
brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from larder.declaring.compiled.joins import revision_reader
from larder.declaring.joins import Join
from larder.declaring.records import Record
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic
from larder.delivery.delivery import Delivery
from larder.delivery.headers import AFTER_HEADER, MOVED_HEADER
from larder.delivery.output import Headers, Output
from larder.kafka.partitioner import partition_of
from larder.store.applying.deletions import REVISION_HEADER, declared_revision
from larder.store.applying.row_checks import RowChecks


class RowResults:
    """Where the results of one input partition go; `revision` reads that of a row, and is None where there is none.

    `rekeyed`: nobody but this service has anything to write into the input, and results are brought together.
    """

    def __init__(
        self,
        output: Output,
        delivery: Delivery,
        revision: Callable[[bytes | None], int] | None,
        checks: RowChecks,
        *,
        rekeyed: bool,
    ) -> None:
        self._output = output
        self._delivery = delivery
        self._revision = revision
        self._checks = checks
        self._rekeyed = rekeyed

    def headers(self, records: Sequence[Record]) -> Sequence[Headers] | None:
        """Those of the results of `records`; ValueError if one of them has no revision."""
        return [self._revised(record) for record in records] if self._rekeyed else None

    def check_deletion(self, record: Record) -> None:
        """ValueError for what is no deletion of a row, or cannot be from this service where it alone writes."""
        self._checks.check_deletion(record)
        if self._rekeyed and declared_revision(record, AFTER_HEADER) is None:
            message = (
                f"the deletion of a rekeyed row requires the header {AFTER_HEADER}, which this service writes; found"
                " none: take the right to write there from others"
            )
            raise ValueError(message)

    def deleted(self, record: Record) -> None:
        """A row was deleted: so is its result. One that has moved has its results elsewhere."""
        known = [header for header in record.headers if header[0] in {REVISION_HEADER, AFTER_HEADER}]
        if MOVED_HEADER not in dict(record.headers):
            self._delete(record, known)

    def none(self, record: Record) -> None:
        """A row has no result: what an older revision of it had is deleted.

        ValueError for what is no row: it must not hide the rows of its key with its revision.
        """
        self._checks.check_row(record)
        self._delete(record, self._revised(record))

    def _revised(self, record: Record) -> Headers:
        return [] if self._revision is None else [(REVISION_HEADER, b"%d" % self._revision(record.value))]

    def _delete(self, record: Record, headers: Headers) -> None:
        if record.key is not None:
            partition = partition_of(record.key, self._output.partitions)
            self._delivery.emit(self._output, partition, record.key, None, record.timestamp, headers)


def row_results(join: Join, output: Output, delivery: Delivery) -> RowResults | None:
    """Give what the rows of a join become in `output`; None for a join of events."""
    source = events_of(join.source)
    if not join.of_rows or not isinstance(source, OwnerTopic):
        return None
    return RowResults(output, delivery, revision_reader(join), RowChecks(source), rekeyed=join.gathers)
