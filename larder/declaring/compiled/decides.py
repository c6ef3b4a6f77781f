"""Compiles decides into functions that turn bytes and rows into what must be written.

`compile_decide` works out once whatever does not depend on the event. Workers and runs in memory use the same
functions. They do no I/O, and do not know stores, partitions or transactions.

For a faulty event they raise ValueError with a readable cause.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import msgspec

from larder.declaring.compiled.field_reader import NoValueError, TooDeepError
from larder.declaring.decisions import Decision, Delete, Near, Refusal, Wake, as_utc
from larder.declaring.decoding import decoder
from larder.declaring.events import Emitted, emitter
from larder.declaring.fields import scalar
from larder.declaring.rows import Row
from larder.declaring.sources import Source, partitioned_by, several
from larder.declaring.user_functions import FunctionFailedError, call, failed

if TYPE_CHECKING:
    from larder.declaring.decides import Decide

Read: TypeAlias = Callable[[bytes | None], tuple[bytes, Any]]


class DecisionVerdict(NamedTuple):
    """The outcome of a decision.

    rows     by encoded key: the new row, or None for a deletion.
    emitted  for each event, the position of its topic in `into`, its key and its value.
    refusal  the reason for a refusal.
    wakes    for each wake-up, its encoded key and its time in seconds since 1970.
    """

    rows: dict[bytes, Row | None]
    emitted: Sequence[Emitted] = ()
    refusal: str | None = None
    wakes: Sequence[tuple[bytes, float]] = ()


@dataclass(frozen=True)
class CompiledDecide:
    """The functions of a decide.

    events(value)           one function for each input: returns the encoded key of the row, and the typed event.
    typed(json)             decodes a stored row.
    judge(event, row, near) calls the user's function, and returns the verdict.
    written(row, revision)  encodes a row of a verdict with its revision, and also returns the row as
                            readers will decode it. Raises ValueError if they could not.
    """

    decide: Decide
    events: tuple[Read, ...]
    typed: Callable[[bytes], Row]
    judge: Callable[[Any, Row | None, Near], DecisionVerdict]
    written: Callable[[Row, int | None], tuple[bytes, Row]]

    def refused(self, cause: str, key: bytes, reason: str, event: bytes | None) -> tuple[bytes, bytes]:
        """Return the key and the value of a refusal; `event` is JSON, or None for a wake-up."""
        state = self.decide.state.topic
        named = _key_text(state.key_codec.decode(key))
        json = None if event is None else msgspec.Raw(event)
        refusal = Refusal(id=cause, state=state.name, key=named, reason=str(reason), event=json)
        return named.encode(), msgspec.json.encode(refusal)


def compile_decide(decide: Decide, *, wakes: bool | None = None) -> CompiledDecide:
    """Build the functions of a decide whose declaration has no problems.

    `wakes`: it may set wake-ups; by default, if it takes them itself.
    """
    typed = decoder(decide.state.topic.row)
    return CompiledDecide(
        decide,
        tuple(_reader(source, decide) for source in decide.inputs),
        typed,
        _judge(decide, wakes=decide.wakes if wakes is None else wakes),
        _writer(decide, typed),
    )


def _reader(source: Source, decide: Decide) -> Read:
    decode, field = decoder(source.row), partitioned_by(source)
    encode_key = decide.state.topic.key_codec.encode
    nullable = scalar(source.row, field).nullable

    def read(value: bytes | None) -> tuple[bytes, Any]:
        if value is None:
            message = "the record has no value"
            raise NoValueError(message)
        try:
            event = decode(value)
        except RecursionError:
            raise TooDeepError from None
        key = getattr(event, field)
        if nullable and key is None:
            message = f"{field} is null: the event is of no row"
            raise NoValueError(message)
        return encode_key(key), event

    return read


def _judge(decide: Decide, *, wakes: bool) -> Callable[[Any, Row | None, Near], DecisionVerdict]:
    function, near_too = cast("Callable[..., Any]", decide.function), decide.reads_near
    understood = _fold_verdict(decide) if decide.folds else _verdict(decide, _wakes(decide, wakes=wakes))

    def judge(event: Any, row: Row | None, near: Near) -> DecisionVerdict:
        return understood(call(function, event, row, near) if near_too else call(function, event, row))

    return judge


def _fold_verdict(decide: Decide) -> Callable[[Any], DecisionVerdict]:
    rows = _rows(decide)
    return lambda result: DecisionVerdict({} if result is None else rows((result,)))


def _verdict(
    decide: Decide, wakes: Callable[[Sequence[Any]], Sequence[tuple[bytes, float]]]
) -> Callable[[Any], DecisionVerdict]:
    rows = _rows(decide)
    emitted = emitter(f"the function of decide {decide.name}", decide.into)

    def verdict(result: Any) -> DecisionVerdict:
        if result is None:
            return DecisionVerdict({})
        if not isinstance(result, Decision):
            raise _unfit(decide, f"give a Decision or None; it gave {shortened(result)}")
        if result.refuse is not None and (result.rows or result.wake):
            raise _unfit(decide, "change no row and set no wake-up where it refuses")
        return DecisionVerdict(
            rows(several(result.rows)) if result.rows else {},
            emitted(several(result.emit)) if result.emit else (),
            result.refuse,
            wakes(several(result.wake)) if result.wake else (),
        )

    return verdict


def _rows(decide: Decide) -> Callable[[Sequence[Any]], dict[bytes, Row | None]]:
    topic = decide.state.topic
    row_type, field, encode_key = topic.row, topic.key, topic.key_codec.encode

    def rows(given: Sequence[Any]) -> dict[bytes, Row | None]:
        found: dict[bytes, Row | None] = {}
        for each in given:
            if isinstance(each, row_type):
                found[encode_key(getattr(each, field))] = each
            elif isinstance(each, Delete):
                found[encode_key(each.key)] = None
            else:
                raise _unfit(decide, f"give rows of {row_type.__name__} and Delete; it gave {shortened(each)}")
        if len(found) < len(given):
            raise _unfit(decide, "give one row for a key; it gave several")
        return found

    return rows


def _wakes(decide: Decide, *, wakes: bool) -> Callable[[Sequence[Any]], Sequence[tuple[bytes, float]]]:
    encode_key = decide.state.topic.key_codec.encode

    def seconds(wake: Wake) -> float:
        at = wake.at.timestamp()
        try:
            # The wake-up will call the function with this time in UTC.
            as_utc(at)
        except ValueError:
            must = f"give Wake(key, at) with a time in the years 1 to 9999 in UTC; it gave {wake.at.isoformat()}"
            raise _unfit(decide, must) from None
        return at

    def one(wake: Any) -> tuple[bytes, float]:
        if not wakes:
            raise _unfit(decide, "take WakeUp as a type of its first parameter, where it asks to be woken")
        if not (isinstance(wake, Wake) and isinstance(wake.at, datetime) and wake.at.tzinfo is not None):
            raise _unfit(decide, f"give Wake(key, at) with a time that has a zone; it gave {shortened(wake)}")
        return encode_key(wake.key), seconds(wake)

    return lambda given: [one(wake) for wake in given]


def _writer(decide: Decide, typed: Callable[[bytes], Row]) -> Callable[[Row, int | None], tuple[bytes, Row]]:
    encode, revision_field = msgspec.json.Encoder().encode, decide.state.topic.revision
    writing = f"writing a row of {decide.name}"

    def written(row: Row, revision: int | None) -> tuple[bytes, Row]:
        if revision_field is not None:
            row = msgspec.structs.replace(row, **{revision_field: revision})
        try:
            json = encode(row)
            # Python does not check the types of a row's fields, but readers do.
            return json, typed(json)
        except Exception as error:
            raise failed(writing, error) from error

    return written


def _key_text(key: Any) -> str:
    """Return a key as text for people; bytes are in base64url."""
    return urlsafe_b64encode(key).rstrip(b"=").decode() if isinstance(key, bytes) else str(key)


def _unfit(decide: Decide, must: str) -> FunctionFailedError:
    return FunctionFailedError(f"the function of decide {decide.name} must {must}")
