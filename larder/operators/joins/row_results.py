"""Results of rows that are joined into rows: what a row becomes, and that it becomes nothing. Pure.

A deletion is passed on. A row that has no result (dropped, dead-lettered, not wanted) deletes what was joined with an
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
from larder.delivery.headers import AFTER_HEADER, MOVED_HEADER
from larder.delivery.output import Headers
from larder.store.applying.deletions import REVISION_HEADER, declared_revision
from larder.store.applying.row_checks import RowChecks


class RowResults:
    """The headers of the results of rows; `revision` reads that of a row, and is None where there is none.

    `rekeyed`: nobody but this service has anything to write into the input, and results are brought together.
    """

    def __init__(
        self,
        revision: Callable[[bytes | None], int] | None,
        checks: RowChecks,
        *,
        rekeyed: bool,
    ) -> None:
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

    def deletion(self, record: Record) -> Headers | None:
        """Those of the deletion of a deleted row's result; None for a row that has moved: its results lie elsewhere."""
        if MOVED_HEADER in dict(record.headers):
            return None
        return [header for header in record.headers if header[0] in {REVISION_HEADER, AFTER_HEADER}]

    def none(self, record: Record) -> Headers:
        """Those of the deletion of what an older revision of a row had that has no result.

        ValueError for what is no row: it must not hide the rows of its key with its revision.
        """
        self._checks.check_row(record)
        return self._revised(record)

    def _revised(self, record: Record) -> Headers:
        return [] if self._revision is None else [(REVISION_HEADER, b"%d" % self._revision(record.value))]


def row_results(join: Join) -> RowResults | None:
    """Give what the rows of a join become; None for a join of events."""
    source = events_of(join.source)
    if not join.of_rows or not isinstance(source, OwnerTopic):
        return None
    return RowResults(revision_reader(join), RowChecks(source), rekeyed=join.gathers)
