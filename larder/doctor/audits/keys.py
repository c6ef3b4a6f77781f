"""Whether messages have keys, of the declared type, and equal to the key field of the row. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.declaring.plurals import counted
from larder.declaring.topics import OwnerTopic
from larder.doctor.findings import Finding, Met
from larder.observability.conditions import Severity
from larder.store.row_schema import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from larder.doctor.records import SeenRecord, ValueReader

AUDIT = "keys"


class Keys:
    """The message keys of one topic."""

    def __init__(self, reader: ValueReader) -> None:
        """Start without records."""
        self._reader = reader
        self._topic = reader.topic
        self._null, self._strange, self._other = Met(), Met(), Met()

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Examine more records."""
        for each in seen:
            if each.record.key is None:
                self._null.add(each.place)
            elif not self._is_key(each.record.key):
                self._strange.add(each.place)
            elif each.record.value is not None and self._differs(each, each.record.key):
                self._other.add(each.place)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings so far."""
        name, kind, field = self._topic.name, self._topic.key_codec.name, self._topic.key
        yield from self._findings(
            self._null,
            "without a key",
            "records without a key may be in any partition: they have no order, find no row of a co-partitioned table,"
            " and wait as if they had the same key",
            f"have their producer send {field} as the key of the message",
        )
        yield from self._findings(
            self._strange,
            f"whose key is not of the declared type {kind}",
            "results keep the key, and tables of them reject it",
            f"have their producer write such keys, or declare key_type of {name} as they are written",
        )
        yield from self._findings(
            self._other,
            f"whose key is not the value of {field}",
            "results keep the message key: a table of them rejects a row that has another key",
            f"have their producer send {field} as the key, or declare the field that it sends as key=",
        )

    def _findings(self, met: Met, seen: str, of_events: str, do: str) -> Iterator[Finding]:
        if not met.count:
            return
        severity, why = Severity.WARNING, of_events
        steps: tuple[str, ...] = (do,)
        if isinstance(self._topic, OwnerTopic):
            severity, why = Severity.ERROR, "tables reject such a record, and lack its row"
            steps = (do, f"then have the owner of {self._topic.name} publish these rows again")
        about, told = f"topic {self._topic.name}", f"{counted(met.count, 'record')} {seen}"
        yield Finding(severity, AUDIT, about, told, why, steps, tuple(met.samples))

    def _is_key(self, key: bytes) -> bool:
        try:
            self._topic.key_codec.decode(key)
        except (ValueError, TypeError):
            return False
        return True

    def _differs(self, seen: SeenRecord, key: bytes) -> bool:
        """Return whether the value has another key. The schema audit reports a value with no key or a bad one."""
        try:
            value = self._reader.value(seen, self._topic.key)
            codec = self._topic.key_codec
            return value is not None and codec.encode(value) != (codec.one_form(key) if codec.one_form else key)
        except UNREADABLE:
            return False
