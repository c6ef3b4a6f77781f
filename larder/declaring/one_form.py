"""Brings the keys of records into the one form that Larder writes.

A record can still be shown as it was sent. Knows no topics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from larder.declaring.keys import KeyType
from larder.declaring.records import Record


@dataclass(frozen=True, slots=True)
class OneForm:
    """A record under the usual form of its key; `sent` is the original record."""

    sent: Record
    key: bytes

    @property
    def offset(self) -> int:
        """As it was sent."""
        return self.sent.offset

    @property
    def timestamp(self) -> int:
        """As it was sent."""
        return self.sent.timestamp

    @property
    def value(self) -> bytes | None:
        """As it was sent."""
        return self.sent.value

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """As they were sent."""
        return self.sent.headers


def in_one_form(records: Sequence[Record], key_type: KeyType) -> Sequence[Record]:
    """Give the records under the usual form of their keys; the same records if all have it already."""
    form = key_type.one_form
    return records if form is None else [_formed(record, form) for record in records]


def as_sent(record: Record) -> Record:
    """Give the original record."""
    return record.sent if isinstance(record, OneForm) else record


def _formed(record: Record, form: Callable[[bytes], bytes]) -> Record:
    if record.key is None:
        return record
    key = form(record.key)
    return record if key == record.key else OneForm(record, key)
