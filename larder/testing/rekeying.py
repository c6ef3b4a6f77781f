"""Records of `.by` in memory: sent on to an internal topic, where operators read them.

There are no partitions to move rows between. What remains of a worker's rules: a record that lacks the field is a
dead letter or left out, a row that is not newer than the one before stays behind, and a row that belongs nowhere any
more is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from larder.declaring.compiled.joins import compile_rekey, compile_row_rekey
from larder.declaring.missing_fields import Drop
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.delivery.headers import AFTER_HEADER
from larder.store.applying.deletions import declared_revision
from larder.testing.records import Headers, MemoryRecord

if TYPE_CHECKING:
    from larder.testing.run import MemoryRun


class MemoryRekeying(Protocol):
    """What `.by` makes of the records of a topic."""

    def take(self, record: MemoryRecord) -> None:
        """Send a record on, or leave it out; ValueError, with the cause, makes it a dead letter."""


def rekeying(rekeyed: Rekeyed, name: str, run: MemoryRun) -> MemoryRekeying:
    """Give what sends the records of a source into the internal topic of that name."""

    def send(record: MemoryRecord) -> None:
        run.append(name, replace(record, offset=len(run.log(name))))

    if isinstance(rekeyed.source, OwnerTopic) and rekeyed.source.revision is not None:
        return _Rows(rekeyed, rekeyed.source.revision, send)
    return _Events(rekeyed, send)


class _Events:
    def __init__(self, rekeyed: Rekeyed, send: Callable[[MemoryRecord], None]) -> None:
        self._partition_key = compile_rekey(rekeyed)
        self._send = send

    def take(self, record: MemoryRecord) -> None:
        if self._partition_key(record.value) is not None:
            self._send(record)


class _Rows:
    def __init__(self, rekeyed: Rekeyed, revision: str, send: Callable[[MemoryRecord], None]) -> None:
        self._read = compile_row_rekey(rekeyed, revision)
        self._drops = rekeyed.missing is Drop
        self._send = send
        self._revisions: dict[bytes, int] = {}

    def take(self, record: MemoryRecord) -> None:
        if record.key is None:
            message = "a row requires a message key; found null"
            raise ValueError(message)
        if record.value is None:
            self._delete(record, record.key)
            return
        by, revision = self._read(record.value)
        before = self._revisions.get(record.key)
        if before is not None and revision <= before:
            return
        if by is None:
            self._delete(record, record.key)
            if not self._drops:
                message = "the field that it is partitioned by is null: the row belongs to no partition"
                raise ValueError(message)
            return
        self._revisions[record.key] = revision
        self._send(record)

    def _delete(self, record: MemoryRecord, key: bytes) -> None:
        revision, before = declared_revision(record), self._revisions.get(key)
        if before is None or (revision is not None and revision <= before):
            return
        del self._revisions[key]
        headers: Headers = [each for each in record.headers if each[0] != AFTER_HEADER]
        self._send(replace(record, value=None, headers=(*headers, (AFTER_HEADER, b"%d" % before))))
