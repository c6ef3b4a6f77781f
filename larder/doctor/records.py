"""Records as audits see them: each decoded once, as a row and as fields. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.decoding import decoder
from larder.declaring.fields import fields
from larder.store.row_schema import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from larder.declaring.records import Record
    from larder.declaring.rows import Row
    from larder.declaring.topics import EventTopic, OwnerTopic
    from larder.doctor.findings import Finding


class SeenRecord(NamedTuple):
    """A record. `row` is None if its value is not of the declared type, `fields` if it is not a JSON object.

    `cause` says why there is no row. It is empty for a deletion.
    """

    place: Coordinates
    record: Record
    row: Row | None
    fields: Mapping[str, msgspec.Raw] | None
    cause: str = ""


class Audit(Protocol):
    """An audit of the records of one topic. It takes them in the order of the log and reports its findings."""

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Examine more records of one partition."""

    def findings(self) -> Iterator[Finding]:
        """Return the findings so far."""


class ValueReader:
    """Decodes the values of one topic."""

    def __init__(self, topic: EventTopic | OwnerTopic) -> None:
        """Make decoders of its row type, of its fields, and of any object."""
        self.topic = topic
        self._row = decoder(topic.row)
        self._object = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._fields = {field.encode_name: decoder(field.type) for field in fields(topic.row).values()}

    def read(self, partition: int, records: Iterable[Record]) -> list[SeenRecord]:
        """Decode records of one partition. Bad values are reported, not raised."""
        return [self._read(Coordinates(self.topic.name, partition, record.offset), record) for record in records]

    def _read(self, place: Coordinates, record: Record) -> SeenRecord:
        if record.value is None:
            return SeenRecord(place, record, None, None)
        try:
            found = self._object.decode(record.value)
        except UNREADABLE as error:
            return SeenRecord(place, record, None, None, str(error))
        try:
            return SeenRecord(place, record, self._row(record.value), found)
        except UNREADABLE as error:
            return SeenRecord(place, record, None, found, str(error))

    def value(self, seen: SeenRecord, field: str) -> Any:
        """Return the value of a field by its Python name, even if the rest of the row is bad; None if it has none.

        Raises `UNREADABLE` if the value is not of the field's type.
        """
        if seen.row is not None:
            return getattr(seen.row, field)
        name = fields(self.topic.row)[field].encode_name
        if seen.fields is None or name not in seen.fields:
            return None
        return self._fields[name](seen.fields[name])

    def wrong(self, seen: SeenRecord) -> Iterator[tuple[str, str]]:
        """Yield the fields that are not of their type, by their JSON name, each with what is wrong."""
        for name, decode in self._fields.items():
            if seen.fields is not None and name in seen.fields:
                try:
                    decode(seen.fields[name])
                except UNREADABLE as error:
                    yield name, str(error)
