"""Message keys: there, of their type, and those of their rows. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.doctor.findings import Finding, Met, Severity
from tables.declaring.topics import OwnerTopic
from tables.engine.shape import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.doctor.reading import Reader, Seen

AUDIT = "keys"


class Keys:
    """The keys of one topic."""

    def __init__(self, reader: Reader) -> None:
        """Begin with nothing seen."""
        self._reader = reader
        self._topic = reader.topic
        self._null, self._strange, self._other = Met(), Met(), Met()

    def take(self, seen: Sequence[Seen]) -> None:
        """Look at some more records."""
        for each in seen:
            if each.record.key is None:
                self._null.add(each.place)
            elif not self._is_key(each.record.key):
                self._strange.add(each.place)
            elif each.record.value is not None and self._differs(each, each.record.key):
                self._other.add(each.place)

    def findings(self) -> Iterator[Finding]:
        """Give what was found up to now."""
        rows = isinstance(self._topic, OwnerTopic)
        rejected = "such a record is no row: it is rejected, and tables lack what it says"
        kind, field = self._topic.key_codec.name, self._topic.key
        if self._null.count:
            unkeyed = (
                "records without a key lie anywhere: they are in no order among each other, meet no row by partition,"
                " and wait as if they had one key"
            )
            yield self._finding(
                self._null,
                Severity.ERROR if rows else Severity.WARNING,
                f"{self._null.count:,} records without a key",
                rejected if rows else unkeyed,
                f"have their producer send {field} as the key of the message",
            )
        if self._strange.count:
            yield self._finding(
                self._strange,
                Severity.ERROR if rows else Severity.WARNING,
                f"{self._strange.count:,} records whose key is no {kind} key, as declared",
                rejected if rows else "results keep the key, and tables of them reject it",
                f"have their producer write keys so, or declare key_type of {self._topic.name} as they are written",
            )
        if self._other.count:
            yield self._finding(
                self._other,
                Severity.ERROR if rows else Severity.WARNING,
                f"{self._other.count:,} records whose key is not the value of {field}",
                rejected if rows else "results keep the key: tables of them reject those of which it is not the key",
                f"have their producer send {field} as the key, or declare key= as the field that is sent",
            )

    def _finding(self, met: Met, severity: Severity, seen: str, why: str, do: str) -> Finding:
        again = (f"then have the owner of {self._topic.name} publish these rows again",)
        rows = isinstance(self._topic, OwnerTopic)
        about = f"topic {self._topic.name}"
        return Finding(severity, AUDIT, about, seen, why, (do, *(again if rows else ())), tuple(met.samples))

    def _is_key(self, key: bytes) -> bool:
        try:
            self._topic.key_codec.decode(key)
        except (ValueError, TypeError):
            return False
        return True

    def _differs(self, seen: Seen, key: bytes) -> bool:
        """Say whether the value tells another key; one that tells none, or a bad one, is the schema's affair."""
        try:
            value = self._reader.value(seen, self._topic.key)
            return value is not None and self._topic.key_codec.encode(value) != key
        except UNREADABLE:
            return False
