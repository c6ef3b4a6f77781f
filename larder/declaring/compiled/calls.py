"""Compiles calls into functions that read events and encode results.

Workers and runs in memory use the same functions. They do no I/O. For a faulty event or result they raise ValueError
with a readable cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from larder.declaring.compiled.field_reader import NoValueError, TooDeepError
from larder.declaring.decoding import decoder
from larder.declaring.events import emitter
from larder.declaring.fields import scalar
from larder.declaring.keys import KeyType
from larder.declaring.sources import RemoteTable, Source, partitioned_by, several
from larder.declaring.stored_calls import ResultEvent
from larder.declaring.topics import Rekeyed
from larder.declaring.user_functions import FunctionFailedError, call

if TYPE_CHECKING:
    from larder.declaring.calls import Call, GaveUp

KEY_CHARACTERS: Final = 255
"""The most characters of an idempotency key; providers allow no longer ones."""


@dataclass(frozen=True)
class CompiledCall:
    """The functions of a call.

    read(value)            the encoded key of an event, and the typed event.
    key(event, default)    its idempotency key.
    row_key(event)         the encoded key of its row in the table of `only_while`.
    satisfied(json)        whether a row, or None, lets the call begin.
    results(returned)      the events of what the function returned.
    given_up(event, why)   the events of `otherwise`.
    remote                 the tables of `reads` by service and name, each with the function that decodes a row.
    """

    call: Call
    read: Callable[[bytes | None], tuple[bytes, Any]]
    key: Callable[[Any, str], str]
    row_key: Callable[[Any], bytes]
    satisfied: Callable[[bytes | None], bool]
    results: Callable[[Any], list[ResultEvent]]
    given_up: Callable[[Any, GaveUp], list[ResultEvent]]
    remote: Mapping[tuple[str, str], tuple[RemoteTable, Callable[[bytes], Any]]]


def compile_call(declared: Call) -> CompiledCall:
    """Build the functions of a call whose declaration has no problems."""
    row_key, satisfied = _only_while(declared)
    results = _results(declared, f"the function of call {declared.name}")
    remote = {(each.table.service, each.name): (each, decoder(each.table.topic.row)) for each in declared.remote}
    return CompiledCall(
        declared, _reader(declared.source), _key(declared), row_key, satisfied, results, _given_up(declared), remote
    )


def _reader(source: Source) -> Callable[[bytes | None], tuple[bytes, Any]]:
    decode, field = decoder(source.row), partitioned_by(source)
    encode = place_codec(source).encode

    def read(value: bytes | None) -> tuple[bytes, Any]:
        if value is None:
            message = "the record has no value"
            raise NoValueError(message)
        try:
            event = decode(value)
        except RecursionError:
            raise TooDeepError from None
        key = getattr(event, field)
        if key is None:
            message = f"{field} is null: the call has no partition"
            raise NoValueError(message)
        return encode(key), event

    return read


def place_codec(source: Source) -> KeyType:
    """Return how the place of a call is encoded: the field that partitions its events."""
    if not isinstance(source, Rekeyed):
        return source.key_codec
    found = scalar(source.row, source.field).key_type
    assert found is not None  # noqa: S101 - checked with the declaration
    return found


def _key(declared: Call) -> Callable[[Any, str], str]:
    if (function := declared.key) is None:
        return lambda _event, default: default

    def key(event: Any, _default: str) -> str:
        found = call(function, event)
        if not isinstance(found, str) or not 0 < len(found) <= KEY_CHARACTERS:
            message = (
                f"the key of call {declared.name} must be text of 1 to {KEY_CHARACTERS} characters; it is {found!r}"
            )
            raise FunctionFailedError(message)
        return found

    return key


def _only_while(declared: Call) -> tuple[Callable[[Any], bytes], Callable[[bytes | None], bool]]:
    if (only := declared.only_while) is None:
        return lambda _: b"", lambda _: True
    encode, field = only.table.topic.key_codec.encode, partitioned_by(declared.source)
    typed = decoder(only.table.topic.row)

    def satisfied(json: bytes | None) -> bool:
        return json is not None and bool(call(only.predicate, typed(json)))

    return lambda event: encode(getattr(event, field)), satisfied


def _results(declared: Call, who: str) -> Callable[[Any], list[ResultEvent]]:
    emitted = emitter(who, declared.into)

    def results(returned: Any) -> list[ResultEvent]:
        given: Sequence[Any] = () if returned is None else several(returned)
        return [ResultEvent(declared.into[into].name, key, value) for into, key, value in emitted(given)]

    return results


def _given_up(declared: Call) -> Callable[[Any, GaveUp], list[ResultEvent]]:
    results = _results(declared, f"otherwise of call {declared.name}")
    function = declared.otherwise
    if function is None:
        return lambda _event, _why: []
    return lambda event, why: results(call(function, event, why))
