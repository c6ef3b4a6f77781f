"""Splices rows into records without decoding either.

The raw JSON of each row goes in front of the record's last brace. Each record and each row must be one JSON object.
A splicer works column by column over a batch, since a call for each record would cost as much as its splice. Does not
know joins or topics.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

Column: TypeAlias = Sequence[bytes | None]
Splice: TypeAlias = Callable[[Sequence[bytes], Sequence[Column]], tuple[list[bytes], int]]

_BRACE: Final = ord("}")
_NULL: Final = b"null"
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def splicer(names: Sequence[str], *, never_empty: bool) -> Splice:
    """Build the function that splices rows into records under these names.

    It takes the records, and a column of rows for each name; None becomes `null`. It removes a record's own fields
    with these names, since a parser that takes the first of two fields would read them instead of the row. It
    returns the results, and the number of records from which it removed a field. With `never_empty`, each record has
    at least one field, so that the first name always needs a comma.
    """
    quoted = [msgspec.json.encode(name) for name in names]
    # Escapes can spell a name differently; in an identifier, only escapes of code points can.
    escape = b"\\u" if all(name.isidentifier() for name in names) else b"\\"
    heads = [b"," + msgspec.json.encode(name) + b":" for name in names]
    result = b"%b" + b"".join(head.replace(b"%", b"%%") + b"%b" for head in heads) + b"}"

    def without_forged(records: Sequence[bytes]) -> tuple[Sequence[bytes], int]:
        # One search of the whole batch costs less than a search of each record.
        batch = b"".join(records)
        if escape not in batch and not any(name in batch for name in quoted):
            return records, 0
        ours = [_without(record, names) for record in records]
        return ours, sum(map(operator.is_not, ours, records))

    def splice(records: Sequence[bytes], rows: Sequence[Column]) -> tuple[list[bytes], int]:
        ours, forged = without_forged(records)
        return join(ours, rows), forged

    def join(records: Sequence[bytes], rows: Sequence[Column]) -> list[bytes]:
        opened = [record[:-1] if record[-1] == _BRACE else record.rstrip()[:-1] for record in records]
        return [result % parts for parts in zip(opened, *map(_written, rows), strict=True)]

    def splice_any(records: Sequence[bytes], rows: Sequence[Column]) -> tuple[list[bytes], int]:
        ours, forged = without_forged(records)
        empty = [record.strip()[1:-1].isspace() or record.strip() == b"{}" for record in ours]
        results = [
            b"{" + spliced.partition(b",")[2] if alone else spliced
            for alone, spliced in zip(empty, join(ours, rows), strict=True)
        ]
        return results, forged

    return splice if never_empty else splice_any


def _without(record: bytes, names: Sequence[str]) -> bytes:
    """Remove the fields with these names; names that are values, or that are nested deeper, stay."""
    found = _FIELDS.decode(record)
    if found.keys().isdisjoint(names):
        return record
    return msgspec.json.encode({name: raw for name, raw in found.items() if name not in names})


def _written(rows: Column) -> Column:
    return [_NULL if row is None else row for row in rows] if None in rows else rows
