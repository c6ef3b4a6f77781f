"""Gathers the results of rekeyed rows by their own key: the newest result replaces older ones.

Results come from several partitions in no common order. Their topic is an owned table, and a result that is older than
its row is dropped. A result that is not a valid row of that table, or has another revision than its row, would be
rejected there or hide later rows. It is dead-lettered and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from larder.declaring.records import Record
from larder.delivery.headers import AFTER_HEADER
from larder.operators.context import PartitionContext
from larder.operators.owned_rows import OwnedRows, Written
from larder.store.applying.deletions import REVISION_HEADER, declared_revision
from larder.store.applying.row_checks import RowChecks


class NewestResultStep:
    """Gathers the results of one partition, each with its row's revision in a header; `checks` validate the rows."""

    def __init__(self, rows: OwnedRows, at: PartitionContext, checks: RowChecks) -> None:
        self._rows = rows
        self._dead_letters = at.dead_letters()
        self._carried = at.carried()
        self._checks = checks

    def busy(self) -> bool:
        return self._rows.full()

    def process(self, records: Sequence[Record]) -> None:
        self._dead_letters.handle_each(records, self._gather)

    def _gather(self, record: Record) -> None:
        key = record.key
        if key is None:
            message = "a result requires a message key; found null"
            raise ValueError(message)
        revision = declared_revision(record)
        self._check(record, revision)
        known = self._rows.revision(key)
        if revision is not None:
            if known is None or revision > known:
                self._write(Written(key, record.value, revision), record, known)
        elif (after := declared_revision(record, AFTER_HEADER)) is not None:
            self._delete(key, after, known, record)
        else:
            message = f"a result requires the revision of its row in the header {REVISION_HEADER} or {AFTER_HEADER}"
            raise ValueError(message)

    def _check(self, record: Record, revision: int | None) -> None:
        if record.value is None:
            self._checks.check_deletion(record)
        elif (found := self._checks.check_row(record)) != revision:
            message = (
                f"a result requires the revision of its row in the header {REVISION_HEADER}, {found}; found {revision}"
            )
            raise ValueError(message)

    def _delete(self, key: bytes, after: int, known: int | None, record: Record) -> None:
        """Delete the result of a row whose deletion has no revision, and keep the revision of the row."""
        if known is None or known < after:
            self._write(Written(key, None, after), record, known)
        elif known == after and self._rows.raw(key) is not None:
            self._write(Written(key, None, known, declared=False), record, known)

    def _write(self, row: Written, record: Record, known: int | None) -> None:
        self._rows.write(row, record.timestamp, known, self._carried.of(record))
