"""The results of rows in a join that produces rows: a row, or a deletion. Pure.

A deletion is passed on. A row without a result (dropped, dead-lettered, not wanted) deletes the result of its older
revision, which must not stay. A record that is not a valid row changes nothing: the previous row stays valid, as it
does in tables. Results of rekeyed rows carry the revision of their row, by which they are gathered.
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
    """The headers of the results of rows; `revision` reads a row's revision, and is None if rows have none.

    `rekeyed`: only this service writes the input, and results are gathered.
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
        """Return the headers of the results of `records`; raise ValueError if one has no revision."""
        return [self._revised(record) for record in records] if self._rekeyed else None

    def check_deletion(self, record: Record) -> None:
        """Raise ValueError for an invalid deletion, or one by another writer where only this service may write."""
        self._checks.check_deletion(record)
        if self._rekeyed and declared_revision(record, AFTER_HEADER) is None:
            message = (
                f"the deletion of a rekeyed row requires the header {AFTER_HEADER}, which this service writes; found"
                " none: let only Larder write there"
            )
            raise ValueError(message)

    def deletion(self, record: Record) -> Headers | None:
        """Return the headers that delete a deleted row's result; None for a moved row, whose results are elsewhere."""
        if MOVED_HEADER in dict(record.headers):
            return None
        return [header for header in record.headers if header[0] in {REVISION_HEADER, AFTER_HEADER}]

    def without_result(self, record: Record) -> Headers:
        """Return the headers that delete the result of the older revision of a row that has no result.

        Raise ValueError for an invalid row: its revision must not hide the rows of its key.
        """
        self._checks.check_row(record)
        return self._revised(record)

    def _revised(self, record: Record) -> Headers:
        return [] if self._revision is None else [(REVISION_HEADER, b"%d" % self._revision(record.value))]


def row_results(join: Join) -> RowResults | None:
    """Return the results of a join's rows; None for a join of events."""
    source = events_of(join.source)
    if not join.of_rows or not isinstance(source, OwnerTopic):
        return None
    return RowResults(revision_reader(join), RowChecks(source), rekeyed=join.gathers)
