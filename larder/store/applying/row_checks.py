"""Checks whether one record is a row of its topic, or a deletion, by the rules of its table but without a table.

For outputs that depend on a record which no table has applied. Does not know the store.
"""

from __future__ import annotations

from larder.declaring.records import Record
from larder.declaring.topics import OwnerTopic
from larder.store.applying.deletions import declared_revision, readable
from larder.store.applying.rejecting import key_cause, revision_cause, value_cause
from larder.store.layout import NO_REVISION
from larder.store.row_schema import UNREADABLE, shape


class RowChecks:
    """The checks of a topic's records; each raises ValueError with the cause that a table would give."""

    def __init__(self, topic: OwnerTopic) -> None:
        """Prepare the checks of a topic."""
        self._shape = shape(topic)

    def check_row(self, record: Record) -> int | None:
        """Return the revision of a record with a value; None if the topic declares none."""
        shape, value = self._shape, record.value or b""
        try:
            row_key, revision = shape.identify(shape.decode(value))
            known = shape.encode_key(row_key) == record.key
        except UNREADABLE as error:
            raise ValueError(value_cause(value, error, shape)) from None
        if not known:
            raise ValueError(key_cause(record.key, row_key, shape))
        if not shape.revised:
            return None
        if revision.__class__ is not int or not NO_REVISION < revision < -NO_REVISION:
            raise ValueError(revision_cause(revision, shape))
        return int(revision)

    def check_deletion(self, record: Record) -> None:
        """Check the key of a record without a value, and its revision, if it has one."""
        shape, key = self._shape, record.key
        if key is None or not readable(key, shape):
            raise ValueError(key_cause(key, None, shape))
        if shape.revised:
            declared_revision(record)
