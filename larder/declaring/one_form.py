"""Converts the keys of records to the one form that Larder writes.

The original record stays available. Does not know topics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from larder.declaring.keys import KeyType
from larder.declaring.records import Record


@dataclass(frozen=True, slots=True)
class OneForm:
    """A record with its key in the usual form; `sent` is the original record."""

    sent: Record
    key: bytes

    @property
    def offset(self) -> int:
        """The original offset."""
        return self.sent.offset

    @property
    def timestamp(self) -> int:
        """The original timestamp."""
        return self.sent.timestamp

    @property
    def value(self) -> bytes | None:
        """The original value."""
        return self.sent.value

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The original headers."""
        return self.sent.headers


def in_one_form(records: Sequence[Record], key_type: KeyType) -> Sequence[Record]:
    """Return the records with their keys in the usual form; records that already have it stay as they are."""
    form = key_type.one_form
    return records if form is None else [_formed(record, form) for record in records]


def as_sent(record: Record) -> Record:
    """Return the original record."""
    return record.sent if isinstance(record, OneForm) else record


def _formed(record: Record, form: Callable[[bytes], bytes]) -> Record:
    if record.key is None:
        return record
    key = form(record.key)
    return record if key == record.key else OneForm(record, key)
