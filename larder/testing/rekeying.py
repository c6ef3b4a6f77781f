"""Forwards records of `.by` in memory to an internal topic, from which operators read them.

There are no partitions to move rows between. The other rules of a worker apply: a record that lacks the field is
dead-lettered or dropped, a row that is not newer than the one before is not forwarded, and a row that no longer
belongs to any partition is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from larder.declaring.compiled.joins import compile_rekey, compile_row_rekey
from larder.declaring.facts import input_name
from larder.declaring.missing_fields import Drop
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.delivery.headers import AFTER_HEADER
from larder.store.applying.deletions import declared_revision
from larder.testing.records import MemoryRecord

if TYPE_CHECKING:
    from larder.testing.run import MemoryRun


def rekeying(rekeyed: Rekeyed, run: MemoryRun) -> Callable[[MemoryRecord], None]:
    """Return a function that forwards or drops a record; it raises ValueError, with the cause, for a dead letter."""
    name, carried = input_name(run.service, rekeyed), run.carried(rekeyed.source.name)

    def send(record: MemoryRecord) -> None:
        run.append(name, replace(record, offset=len(run.log(name)), headers=tuple(carried.passed_on(record))))

    if isinstance(rekeyed.source, OwnerTopic) and rekeyed.source.revision is not None:
        return _Rows(rekeyed, rekeyed.source.revision, send)
    partition_key = compile_rekey(rekeyed).one
    return lambda record: None if partition_key(record.value) is None else send(record)


class _Rows:
    """Forwards rows, each only if it is newer than the one before."""

    def __init__(self, rekeyed: Rekeyed, revision: str, send: Callable[[MemoryRecord], None]) -> None:
        self._read = compile_row_rekey(rekeyed, revision)
        self._drops = rekeyed.missing is Drop
        self._send = send
        self._revisions: dict[bytes, int] = {}

    def __call__(self, record: MemoryRecord) -> None:
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
        self._send(replace(record, value=None, headers=((AFTER_HEADER, b"%d" % before), *record.headers)))
