"""The key by which a record is partitioned in another generation of its service. Pure."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from larder.declaring.compiled.joins import compile_rekey
from larder.declaring.records import Record
from larder.declaring.topics import Rekeyed
from larder.delivery.headers import WAS_HEADER

KeyOf = Callable[[Record], bytes | None]
"""Returns the key by which a record is partitioned; None if it has none."""


def key_of(by: Rekeyed | None) -> KeyOf:
    """Return the key of a mirror or a table of keys; or, if records are partitioned by a field, the field.

    A row that is gone, or moved, says by what it was partitioned.
    """
    if by is None or by.mirrored:
        return attrgetter("key")
    field = compile_rekey(by).one

    def key(record: Record) -> bytes | None:
        if record.value is None:
            return dict(record.headers).get(WAS_HEADER)
        try:
            return field(record.value)
        except ValueError:
            return None

    return key
