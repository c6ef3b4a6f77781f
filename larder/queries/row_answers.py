"""Rows in answers: the owner's fields, the origin, the progress of the partition, and rejections."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.decoding import decoder
from larder.store import Origin, Phase, State, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from larder import Row
    from larder.local_tables.table import LocalTable

RawFields = dict[str, msgspec.Raw]


class Rejection(msgspec.Struct):
    """A record that is not a row; `at` is its topic, partition and offset, which also name its dead letter, if any."""

    at: str
    partition: int
    offset: int
    cause: str


def rejection(table: Table, key: bytes, partitions: Iterable[int]) -> Rejection | None:
    """Return the newest record of a key if it was rejected; if the key has a row, that row is older."""
    for partition in partitions:
        if (found := table.shard(partition).unreadable.of(partition, key)) is not None:
            at = Coordinates(table.topic.name, partition, found.offset)
            return Rejection(str(at), partition, found.offset, found.cause)
    return None


def rejection_fields(table: Table, key: bytes, partitions: Iterable[int]) -> dict[str, Any]:
    """Return the rejection as a field to add to an answer; empty if there is none."""
    found = rejection(table, key, partitions)
    return {} if found is None else {"rejected": msgspec.structs.asdict(found)}


class _RowAnswer(msgspec.Struct):
    """A row as `look_up` returns it, with the worker's name."""

    table: str
    key: str
    row: msgspec.Raw | RawFields
    partition: int
    offset: int
    timestamp: int
    revision: int | None
    state: str
    position: int
    end: int | None
    lag: int | None
    freshness_s: float | None
    worker: str
    rejected: Rejection | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def row_answer(  # noqa: PLR0913, PLR0917 - what an answer shows
    held: LocalTable, text: str, key: bytes, row: bytes, origin: Origin, now: float, worker: str
) -> bytes:
    """Return the answer of `look_up` for a row as JSON; the row's own JSON is decoded only if necessary."""
    table = held.stored
    state = table.state(origin.partition)
    freshness = state.freshness(now)
    return _encode(
        _RowAnswer(
            held.topic.name,
            text,
            raw_row(table, row),
            origin.partition,
            origin.offset,
            origin.timestamp,
            origin.revision if table.topic.revision else None,
            _STATE_NAMES[state.phase],
            state.position,
            state.end,
            state.lag,
            None if freshness is None else round(freshness, 3),
            worker,
            rejection(table, key, [origin.partition]) or msgspec.UNSET,
        )
    )


_STATE_NAMES = {phase: phase.name.lower().replace("_", " ") for phase in Phase}


def state_name(phase: Phase) -> str:
    """Return the name of a state in messages and answers."""
    return _STATE_NAMES[phase]


def fields_of(table: Table, row: bytes) -> RawFields:
    """Return a row's fields as its owner published them, and the defaults of those that were left out."""
    owners = _decode_fields(row)
    if owners.keys() >= field_names(table.topic.row):
        return owners
    typed = msgspec.json.encode(decoder(table.topic.row)(row))
    return {**msgspec.json.decode(typed, type=RawFields), **owners}


def raw_row(table: Table, row: bytes) -> msgspec.Raw | RawFields:
    """Return the fields of `fields_of`, or the published JSON if nothing was left out."""
    if _decode_fields(row).keys() >= field_names(table.topic.row):
        return msgspec.Raw(row)
    return fields_of(table, row)


_decode_fields = msgspec.json.Decoder(RawFields).decode


@cache
def field_names(row: type[Row]) -> frozenset[str]:
    """Return the names of a row type's fields in JSON."""
    tag = row.__struct_config__.tag_field
    names = {field.encode_name for field in msgspec.structs.fields(row)}
    return frozenset(names if tag is None else {*names, tag})


def origin_fields(table: Table, origin: Origin) -> dict[str, Any]:
    """Return the fields of a row's origin."""
    return {
        "partition": origin.partition,
        "offset": origin.offset,
        "timestamp": origin.timestamp,
        "revision": origin.revision if table.topic.revision else None,
    }


def measures(state: State, now: float) -> dict[str, Any]:
    """Return the fields of a partition's progress."""
    freshness = state.freshness(now)
    return {
        "state": state_name(state.phase),
        "position": state.position,
        "end": state.end,
        "lag": state.lag,
        "freshness_s": None if freshness is None else round(freshness, 3),
    }
