"""Whether rows have revisions, and whether these rise for each key in the order of the log. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from larder.declaring.fields import fields
from larder.declaring.plurals import counted
from larder.doctor.findings import MOST_SAMPLES, Finding, Met
from larder.observability.conditions import Severity
from larder.store.applying.deletions import REVISION_HEADER, declared_revision
from larder.store.applying.revision_regressions import shown
from larder.store.layout import NO_REVISION
from larder.store.row_schema import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from larder.declaring.coordinates import Coordinates
    from larder.doctor.records import SeenRecord, ValueReader

AUDIT = "revisions"

MOST_KEYS: Final = 1_000_000
"""The number of keys to remember (about 300 MB). Beyond it, those that came first are forgotten."""

REMEMBERED_MS: Final = 86_400_000
"""How long tables remember the revision of a deleted key, as far as record timestamps can show."""


class Last(NamedTuple):
    """The highest revision of a key so far, the record that has it, and when the row was deleted, if it was (ms).

    `value` is the hash of the record's value: the values themselves would take too much memory.
    """

    revision: int
    place: Coordinates
    value: int
    deleted: int | None = None


class Revisions:
    """The revisions of one topic that declares a revision field."""

    def __init__(self, reader: ValueReader, field: str, most_keys: int = MOST_KEYS) -> None:
        """Start without records."""
        self._reader = reader
        self._topic = reader.topic.name
        self._field = field
        self._name = fields(reader.topic.row)[field].encode_name
        self._most_keys = most_keys
        self._last: dict[tuple[int, bytes], Last] = {}
        self._without, self._fell, self._same = Met(), Met(), Met()
        self._falls: list[str] = []

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Examine more records."""
        for each in seen:
            key = each.record.key
            if key is None:
                continue
            if each.record.value is None:
                self._delete(each, key)
            elif each.fields is not None:
                self._row(each, key)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings so far."""
        about = f"topic {self._topic}"
        again = f"have the owner of {self._topic} publish these rows again, with higher revisions than ever before"
        if self._without.count:
            yield Finding(
                Severity.ERROR,
                AUDIT,
                about,
                f"{counted(self._without.count, 'record')} without a 64-bit revision in {self._name}",
                "a row without a revision is rejected, or counts as the oldest: changes are lost",
                (f"have the owner write {self._name} in each row (for a deletion: in {REVISION_HEADER})", again),
                tuple(self._without.samples),
            )
        if self._fell.count:
            yield Finding(
                Severity.ERROR,
                AUDIT,
                about,
                f"{counted(self._fell.count, 'record')} with a lower revision than an earlier one of their key:"
                f" {'; '.join(self._falls)}",
                "tables keep the highest revision, but compaction keeps the last record: copies differ by when they"
                " were read, and changes are ignored",
                (again, "then remove the stores of diverging tables (larder tables): workers rebuild them"),
                tuple(self._fell.samples),
            )
        if self._same.count:
            yield Finding(
                Severity.ERROR,
                AUDIT,
                about,
                f"{counted(self._same.count, 'record')} with another value than the one before but the same revision",
                "a record whose revision is not higher than the row's is stale: these changes are ignored",
                (again,),
                tuple(self._same.samples),
            )

    def _row(self, seen: SeenRecord, key: bytes) -> None:
        revision = self._revision(seen)
        if revision is None:
            self._without.add(seen.place)
        else:
            self._compare(seen, key, revision)

    def _revision(self, seen: SeenRecord) -> int | None:
        if seen.fields is None or self._name not in seen.fields:
            return None  # a default of the declaration is not a revision of the owner
        try:
            revision = self._reader.value(seen, self._field)
        except UNREADABLE:
            return None
        return revision if type(revision) is int and NO_REVISION < revision < -NO_REVISION else None

    def _delete(self, seen: SeenRecord, key: bytes) -> None:
        try:
            revision = declared_revision(seen.record)
        except ValueError:
            self._without.add(seen.place)
            return
        if revision is not None:
            self._compare(seen, key, revision)
        elif (last := self._last.get((seen.place.partition, key))) is not None:
            self._remember(seen, key, last._replace(value=hash(None), deleted=seen.record.timestamp))

    def _compare(self, seen: SeenRecord, key: bytes, revision: int) -> None:
        last = self._last.get((seen.place.partition, key))
        forgotten = (
            last is not None and last.deleted is not None and seen.record.timestamp - last.deleted > REMEMBERED_MS
        )
        if last is not None and not forgotten:
            if revision < last.revision:
                self._fell.add(seen.place)
                if len(self._falls) < MOST_SAMPLES:
                    self._falls.append(f"key {shown(key)} with {revision} after {last.revision} at {last.place}")
                return
            if revision == last.revision and hash(seen.record.value) != last.value:
                self._same.add(seen.place)
                return
        deleted = None if seen.record.value is not None else seen.record.timestamp
        self._remember(seen, key, Last(revision, seen.place, hash(seen.record.value), deleted))

    def _remember(self, seen: SeenRecord, key: bytes, last: Last) -> None:
        if len(self._last) >= self._most_keys:
            del self._last[next(iter(self._last))]
        self._last[seen.place.partition, key] = last
