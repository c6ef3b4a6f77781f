"""Values that do not fit the row type of their topic: unknown or missing fields, and those of another type. Pure."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from larder.declaring.envelopes import envelope
from larder.declaring.fields import fields, json_names
from larder.declaring.plurals import counted, plural
from larder.declaring.topics import OwnerTopic
from larder.doctor.findings import Finding, Met
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from larder.declaring.envelopes import Envelope
    from larder.doctor.records import SeenRecord, ValueReader

AUDIT = "schema"

MOST_FIELDS: Final = 200
"""The number of fields to count: objects that are maps instead of rows could have any number of them."""

_SHOWN: Final = 10
_CHARACTERS: Final = 160

_IS: Final = ("value", "is", "are")
_HAS: Final = ("value", "has", "have")
_LACKS: Final = ("value", "lacks", "lack")
_EVENT_HAS: Final = ("event", "has", "have")


class _Drift:
    """Records that differ in one way, with a count for each field."""

    def __init__(self) -> None:
        self.met = Met()
        self.fields: Counter[str] = Counter()
        self.example: dict[str, str] = {}

    def add(self, seen: SeenRecord, names: dict[str, str]) -> None:
        """Count a record and the fields that differ, each with what is wrong, or an empty text."""
        self.met.add(seen.place)
        for name, cause in names.items():
            if name in self.fields or len(self.fields) < MOST_FIELDS:
                self.fields[name] += 1
                self.example.setdefault(name, cause)

    def listed(self) -> str:
        """Return the fields with their counts, the most frequent first."""
        shown = [self._field(name, count) for name, count in self.fields.most_common(_SHOWN)]
        more = len(self.fields) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

    def _field(self, name: str, count: int) -> str:
        cause = self.example[name]
        return f"{_short(name)} ({count:,}{f': {_short(cause)}' if cause else ''})"


class Schema:
    """Compares the values of one topic with its row type."""

    def __init__(self, reader: ValueReader) -> None:
        """Start without records."""
        self._reader = reader
        topic = reader.topic
        self._topic, self._rows, self._type = topic.name, isinstance(topic, OwnerTopic), topic.row.__name__
        config = topic.row.__struct_config__
        self._strict = config.forbid_unknown_fields
        self._known = json_names(topic.row) | ({config.tag_field} if config.tag_field else set())
        self._required = {field.encode_name for field in fields(topic.row).values() if field.required}
        self._looked_at = 0
        self._seldom: Counter[str] = Counter()
        self._unread, self._empty = _Drift(), _Drift()
        self._unknown, self._missing, self._wrong = _Drift(), _Drift(), _Drift()
        self._wrapped: dict[Envelope, _Drift] = {}

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Examine more records."""
        for each in seen:
            if each.record.value is None and self._rows:
                continue  # a deletion
            self._looked_at += 1
            if each.record.value is None:
                self._empty.add(each, {})
            elif each.fields is None:
                self._unread.add(each, {"": each.cause})
            elif found := envelope(each.fields, self._known):
                self._wrapped.setdefault(found, _Drift()).add(each, {})
            else:
                self._object(each, frozenset(each.fields))

    def _object(self, seen: SeenRecord, given: frozenset[str]) -> None:
        self._seldom.update(given & self._known)
        if unknown := given - self._known:
            self._unknown.add(seen, dict.fromkeys(sorted(unknown), ""))
        if seen.row is not None:
            return
        missing, wrong = self._required - given, dict(self._reader.wrong(seen))
        if missing:
            self._missing.add(seen, dict.fromkeys(sorted(missing), ""))
        if wrong or not (missing or (unknown and self._strict)):
            self._wrong.add(seen, wrong or {"the value": seen.cause})

    def findings(self) -> Iterator[Finding]:
        """Yield the findings so far."""
        rejected = (
            "tables reject them, a table that is rebuilt has no row for their keys, and a decide or a fold on them is"
            " held back"
        )
        dead = "joins and decides that need these fields send them to the dead letters"
        why = rejected if self._rows else dead
        declare = f"or declare {self._type} as they are written"
        for found, drift in self._wrapped.items():
            yield self._finding(
                drift,
                Severity.ERROR,
                _IS,
                f"{found.name} around the row",
                why,
                *found.do,
            )
        if self._unread.met.count:
            yield self._finding(
                self._unread, Severity.ERROR,
                _IS, f"not a JSON object: {_short(self._unread.example[''])}", why,
                f"have their producer write JSON objects to {self._topic}",
            )  # fmt: skip
        if self._empty.met.count:
            yield self._finding(
                self._empty, Severity.WARNING, _EVENT_HAS, "no value",
                "an event needs a value: these go to the dead letters", "have their producer leave them out",
                f"or declare {self._topic} as an OwnerTopic, if they are deletions of rows",
            )  # fmt: skip
        if self._missing.met.count:
            yield self._finding(
                self._missing, Severity.ERROR, _LACKS, f"fields of {self._type}: {self._missing.listed()}", why,
                "have their producer write these fields", f"or give them a default in {self._type}",
            )  # fmt: skip
        if self._wrong.met.count:
            yield self._finding(
                self._wrong, Severity.ERROR,
                _HAS, f"fields that are not of the type that {self._type} declares: {self._wrong.listed()}", why,
                "have their producer write the declared types", declare,
            )  # fmt: skip
        if self._unknown.met.count:
            yield self._unknown_fields(declare, why)

    def _unknown_fields(self, declare: str, why: str) -> Finding:
        """Return the finding for unknown fields: new ones, or new names of optional fields that nobody writes."""
        optional = self._known - self._required
        renamed = [
            f"{name} may be {near[0]}, which no value has"
            for name in self._unknown.fields
            if (near := get_close_matches(name, [each for each in sorted(optional) if not self._seldom[each]], 1))
        ]
        severity = Severity.WARNING if renamed else Severity.HINT
        kept = "they stay in the bytes and are passed on, but code that reads rows does not see them"
        return self._finding(
            self._unknown,
            Severity.ERROR if self._strict else severity,
            _HAS,
            f"fields that {self._type} does not know: {self._unknown.listed()}"
            + (f"; {', '.join(renamed)}" if renamed else ""),
            why if self._strict else kept,
            f"add them to {self._type} with a default",
            *([declare] if renamed else []),
        )

    def _finding(
        self, drift: _Drift, severity: Severity, words: tuple[str, str, str], seen: str, why: str, *do: str
    ) -> Finding:
        noun, one, many = words
        found = f"{drift.met.count:,} of {counted(self._looked_at, noun)} {plural(drift.met.count, one, many)} {seen}"
        return Finding(severity, AUDIT, f"topic {self._topic}", found, why, do, tuple(drift.met.samples))


def _short(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}..."
