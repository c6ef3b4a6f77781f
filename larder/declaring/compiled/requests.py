"""Compiles requests into functions that read what a client sends.

A field that the type does not know is refused by name: otherwise a mistyped one would silently have no effect, and what
is published would say more than what was decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast, get_type_hints
from uuid import NAMESPACE_OID, uuid5

import msgspec

from larder.declaring.compiled.digests import digest, hash_of
from larder.declaring.compiled.unknown_fields import unknown_fields
from larder.declaring.decoding import decoder
from larder.declaring.keys import KeyType
from larder.declaring.plurals import counted
from larder.declaring.problems import LarderError
from larder.declaring.requests import Request
from larder.declaring.rows import Row

LEAST_ONCE: Final = 16
MOST_ONCE: Final = 255
"""The bounds of the characters of an `Idempotency-Key`: no two clients choose the same one, and it fits a header."""


MOST_KEY: Final = 2_000
"""The most bytes of the key of a row, so that its address fits a header, also if each byte is percent-encoded."""


class InvalidRequestError(LarderError, ValueError):
    """What a client sent is not a request; the message names the field, as in `$.amount`.

    `status` is that of the answer.
    """

    status: ClassVar[int] = HTTPStatus.UNPROCESSABLE_ENTITY.value


class NoIdError(InvalidRequestError):
    """Neither the body nor a header says whose row the request is about."""

    status = HTTPStatus.BAD_REQUEST.value


class OnceKeyError(InvalidRequestError):
    """An `Idempotency-Key` is so short that others could have it as well, too long, or no plain text."""

    status = HTTPStatus.BAD_REQUEST.value


class ReadRequest(msgspec.Struct, frozen=True):
    """A request: the encoded key of its row, its typed value, and its JSON, which has the fields of its type only.

    id      a hash of what makes it count once; None if it counts each time that it comes.
    digest  a hash of its value, without fields that have their defaults: a default that is added changes nothing.
    """

    key: bytes
    event: Any
    json: bytes
    id: bytes | None
    digest: bytes


@dataclass(frozen=True)
class CompiledRequest:
    """A request and its functions.

    read(body, path, once)  reads the JSON of a body (empty: no fields), the texts in the path, and the
                            `Idempotency-Key`; raises InvalidRequestError.
    """

    request: Request
    read: Callable[[bytes, Mapping[str, str], str | None], ReadRequest]


_ANY: Final = decoder(Any)


def compile_request(request: Request) -> CompiledRequest:
    """Build the functions of a request whose declaration has no problems."""
    body = cast("type[Row]", request.body)
    names = {each.name: each.encode_name for each in msgspec.structs.fields(body)}
    types, topic, typed = get_type_hints(body), request.state.topic, _typed(body)

    def read(given: bytes, path: Mapping[str, str], once: str | None) -> ReadRequest:
        sent = _fields(given)
        of_path = {name: _converted(text, types[name], name) for name, text in path.items()}
        fields = {names[name]: value for name, value in of_path.items()} | sent
        scope = fields.get(names[request.scope]) if request.scope else None
        id_ = None if once is None else hash_of(request.address.encode(), msgspec.json.encode(scope), once.encode())
        if names[topic.key] not in fields:
            fields[names[topic.key]] = _made_id(request, id_, names[topic.key])
        event = typed(given, sent, {name: value for name, value in fields.items() if name not in sent})
        for name, value in of_path.items():
            if getattr(event, name) != value:
                message = f"`$.{names[name]}` differs from the path, which has {path[name]!r}"
                raise InvalidRequestError(message)
        key = _encoded(topic.key_codec, getattr(event, topic.key), names[topic.key])
        # Requests about different rows may lie in different partitions, which do not know of each other.
        counts_as = None if id_ is None else hash_of(id_, key)
        return ReadRequest(key, event, msgspec.json.encode(event), counts_as, digest(event, fields))

    def read_any(given: bytes, path: Mapping[str, str], once: str | None = None) -> ReadRequest:
        _require_plain(once)
        try:
            return read(given, path, once)
        except RecursionError as error:
            message = "the body is nested too deeply"
            raise InvalidRequestError(message) from error

    return CompiledRequest(request, read_any)


def _require_plain(once: str | None) -> None:
    if once is None:
        return
    if not LEAST_ONCE <= len(once) <= MOST_ONCE:
        message = f"the header Idempotency-Key has {counted(len(once), 'character')}"
        raise OnceKeyError(message)
    if not (once.isascii() and once.isprintable()):
        message = f"the header Idempotency-Key is {once[:50]!a}"
        raise OnceKeyError(message)


def _typed(body: type[Row]) -> Callable[[bytes, Mapping[str, Any], Mapping[str, Any]], Row]:
    """Build the function that decodes a body, given its fields, and those that it does not have itself."""
    kind, decode = msgspec.inspect.type_info(body), decoder(body)

    def typed(given: bytes, sent: Mapping[str, Any], added: Mapping[str, Any]) -> Row:
        members = b",".join(each for each in (msgspec.json.encode(added)[1:-1], given.strip()[1:-1].strip()) if each)
        try:
            event = cast("Row", decode(b"{%b}" % members))
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise InvalidRequestError(str(error)) from error
        if (unknown := next(unknown_fields(sent, kind), None)) is not None:
            message = f"{body.__name__} has no field `{unknown}`"
            raise InvalidRequestError(message)
        return event

    return typed


def _fields(given: bytes) -> dict[str, Any]:
    try:
        fields = _ANY(given) if given.strip() else {}
    except ValueError as error:
        message = f"the body is no JSON: {error}"
        raise InvalidRequestError(message) from error
    if not isinstance(fields, dict):
        message = f"the body is no JSON object, but a {type(fields).__name__}"
        raise InvalidRequestError(message)
    return fields


def _made_id(request: Request, id_: bytes | None, field: str) -> str:
    """Return the id of a new row: the same one whenever the same request comes."""
    if id_ is not None and request.makes_ids:
        return str(uuid5(NAMESPACE_OID, id_.hex()))
    message = f"`$.{field}` is missing, and no header Idempotency-Key stands for it"
    raise NoIdError(message)


def _converted(text: str, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        message = f"{error} - at {{{name}}} of the path"
        raise InvalidRequestError(message) from error


def _encoded(codec: KeyType, value: Any, field: str) -> bytes:
    try:
        key = codec.encode(value)
    except ValueError as error:
        message = f"{error} - at `$.{field}`"
        raise InvalidRequestError(message) from error
    if len(key) > MOST_KEY:
        message = f"a key of {len(key):,} bytes, above {MOST_KEY:,} - at `$.{field}`"
        raise InvalidRequestError(message)
    return key
