"""Brings the results of rekeyed rows together by their own key: the newest takes the place of older ones.

They come from several partitions, which are not ordered among each other. The topic of the results is an
owned table; what is older than its row is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.engine.headers import AFTER_HEADER
from agents.engine.owned import OwnedRows, Written
from tables.declaring.records import Record
from tables.engine.tombstones import REVISION_HEADER


class Gathering:
    """The results of one partition, each with the revision of its row in a header."""

    def __init__(self, rows: OwnedRows) -> None:
        self._rows = rows

    def busy(self) -> bool:
        return self._rows.full()

    def process(self, records: Sequence[Record]) -> None:
        for record in records:
            key, headers = record.key or b"", dict(record.headers)
            known = self._rows.revision(key)
            if (revision := headers.get(REVISION_HEADER)) is not None:
                if known is None or int(revision) > known:
                    self._rows.write(Written(key, record.value, int(revision)), record.timestamp, known)
            else:
                self._delete(key, int(headers[AFTER_HEADER] or b""), known, record.timestamp)

    def _delete(self, key: bytes, after: int, known: int | None, timestamp: int) -> None:
        """Delete the result of a row whose deletion has no revision: it is remembered with that of the row."""
        if known is None or known < after:
            self._rows.write(Written(key, None, after), timestamp, known)
        elif known == after and self._rows.raw(key) is not None:
            self._rows.write(Written(key, None, known, declared=False), timestamp, known)
