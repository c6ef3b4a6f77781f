"""Publishes the results of a join in memory: those of events, of rows, and of rows that `.by` moves.

As in a worker, the deletion of a row deletes its result, and so does a newer row without a result.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from larder.declaring.compiled.joins import revision_reader
from larder.declaring.dead_letters import cause_of
from larder.declaring.facts import input_name, joined_name
from larder.declaring.joins import Join
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic
from larder.delivery.headers import AFTER_HEADER
from larder.store.applying.deletions import REVISION_HEADER, declared_revision
from larder.store.applying.row_checks import RowChecks
from larder.testing.records import Headers, MemoryRecord

if TYPE_CHECKING:
    from larder.testing.run import MemoryRun


def results_of(join: Join, run: MemoryRun) -> MemoryResults:
    """Return the publisher of a join's results."""
    source = events_of(join.source)
    if not (join.of_rows and isinstance(source, OwnerTopic)):
        return MemoryResults(join, run)
    return GatheredResults(join, run, source) if join.gathers else MemoryRowResults(join, run, source)


class MemoryResults:
    """Publishes the results of events; an event without a result leaves nothing."""

    def __init__(self, join: Join, run: MemoryRun) -> None:
        """Prepare to publish into the topic of a join."""
        self._into = join.into
        self._publish = run.publish
        self._carried = run.carried(input_name(run.service, join.source))

    def made(self, record: MemoryRecord, key: bytes, value: bytes) -> None:
        """Publish a result."""
        self._publish(self._into, key, value, record.timestamp, self._carried.of(record))

    def none(self, record: MemoryRecord) -> None:
        """Handle a record without a result; raise ValueError if it is not a row and so must not have effects."""

    def deleted(self, record: MemoryRecord) -> None:
        """Handle the deletion of a row; raise ValueError if the record is not a valid one."""

    def failed(self, record: MemoryRecord) -> None:
        """Handle a record that becomes a dead letter, whether it is a row or not."""
        with suppress(ValueError):
            self.none(record)


class MemoryRowResults(MemoryResults):
    """Publishes the results of rows, under their keys."""

    def __init__(self, join: Join, run: MemoryRun, source: OwnerTopic) -> None:
        """Check records by the rules of their topic."""
        super().__init__(join, run)
        self._checks = RowChecks(source)
        self._revision = revision_reader(join)

    def none(self, record: MemoryRecord) -> None:
        """Delete the result of the row."""
        self._checks.check_row(record)
        self._delete(record, None if self._revision is None else self._revision(record.value))

    def deleted(self, record: MemoryRecord) -> None:
        """Delete the result of the row."""
        self._checks.check_deletion(record)
        self._delete(record, declared_revision(record))

    def _delete(self, record: MemoryRecord, revision: int | None) -> None:
        headers: Headers = () if revision is None else ((REVISION_HEADER, b"%d" % revision),)
        self._publish(self._into, record.key, None, record.timestamp, (*headers, *self._carried.of(record)))


class GatheredResults(MemoryRowResults):
    """Publishes the results of rows of `.by`, never an older one after a newer one."""

    def __init__(self, join: Join, run: MemoryRun, source: OwnerTopic) -> None:
        """Start without results."""
        super().__init__(join, run, source)
        name = joined_name(run.service.name, join)
        self._log = run.log(name)
        self._refuse = partial(run.dead_letter, name)
        self._into_checks = RowChecks(cast("OwnerTopic", join.into))
        self._revisions: dict[bytes, int] = {}

    def made(self, record: MemoryRecord, key: bytes, value: bytes) -> None:
        """Publish a result if it is newer than the one before."""
        result = MemoryRecord(key, value, len(self._log), (), record.timestamp)
        self._log.append(result)
        revision = None if self._revision is None else self._revision(record.value)
        try:
            self._check(result, revision)
        except ValueError as error:
            self._refuse(result, cause_of(error))
        else:
            if revision is not None and self._is_newer(key, revision):
                super().made(record, key, value)

    def _check(self, result: MemoryRecord, revision: int | None) -> None:
        """Raise ValueError if followers would reject a result, or read another revision from it."""
        if (found := self._into_checks.check_row(result)) != revision:
            message = (
                f"a result requires the revision of its row in the header {REVISION_HEADER}, {found}; found {revision}"
            )
            raise ValueError(message)

    def _delete(self, record: MemoryRecord, revision: int | None) -> None:
        """Delete a row's result; remember a deletion without a revision of its own with that of the row."""
        key = record.key
        if key is None:
            return
        after = declared_revision(record, AFTER_HEADER) if revision is None else None
        if revision is not None and self._is_newer(key, revision):
            super()._delete(record, revision)
        elif after is not None and after >= self._revisions.get(key, after):
            self._revisions[key] = after
            super()._delete(record, None)

    def _is_newer(self, key: bytes, revision: int) -> bool:
        known = self._revisions.get(key)
        if known is not None and revision <= known:
            return False
        self._revisions[key] = revision
        return True
