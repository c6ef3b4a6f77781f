"""Compiles requests into functions that read what a client sends.

A field that the type does not know is refused by name: otherwise a mistyped one would silently have no effect, and what
is published would say more than what was decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast, get_type_hints
from uuid import NAMESPACE_OID, uuid5

import msgspec

from larder.declaring.plurals import counted
from larder.declaring.problems import LarderError
from larder.declaring.requests import Request
from larder.declaring.rows import Row

LEAST_ONCE: Final = 16
MOST_ONCE: Final = 255
"""The bounds of the characters of an `Idempotency-Key`: no two clients choose the same one, and it fits a header."""


class InvalidRequestError(LarderError, ValueError):
    """What a client sent is not a request; the message names the field, as in `$.amount`.

    `status` is that of the answer.
    """

    status: ClassVar[int] = HTTPStatus.UNPROCESSABLE_ENTITY.value


class NoIdError(InvalidRequestError):
    """Neither the body nor a header says whose row the request is about."""

    status = HTTPStatus.BAD_REQUEST.value


class KeyLengthError(InvalidRequestError):
    """An `Idempotency-Key` is so short that others could have it as well, or too long."""

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


def compile_request(request: Request) -> CompiledRequest:
    """Build the functions of a request whose declaration has no problems."""
    body = cast("type[Row]", request.body)
    names = {each.name: each.encode_name for each in msgspec.structs.fields(body)}
    types, topic = get_type_hints(body), request.state.topic

    def read(given: bytes, path: Mapping[str, str], once: str | None = None) -> ReadRequest:
        if once is not None and not LEAST_ONCE <= len(once) <= MOST_ONCE:
            message = f"the header Idempotency-Key has {counted(len(once), 'character')}"
            raise KeyLengthError(message)
        fields = _fields(given)
        for name, text in path.items():
            value = _converted(text, types[name], name)
            if fields.setdefault(names[name], value) != value:
                message = f"`$.{names[name]}` differs from the path, which has {text!r}"
                raise InvalidRequestError(message)
        scope = fields.get(names[request.scope]) if request.scope else None
        id_ = None if once is None else _hash(request.address.encode(), msgspec.json.encode(scope), once.encode())
        if names[topic.key] not in fields:
            fields[names[topic.key]] = _made_id(request, id_, names[topic.key])
        try:
            event = msgspec.convert(fields, body)
        except (msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
            raise InvalidRequestError(str(error)) from error
        if (unknown := next(_unknown(fields, msgspec.to_builtins(event), "$"), None)) is not None:
            message = f"{body.__name__} has no field `{unknown}`"
            raise InvalidRequestError(message)
        digest = _hash(msgspec.json.encode(_given(event), order="deterministic"))
        key = topic.key_codec.encode(getattr(event, topic.key))
        return ReadRequest(key, event, msgspec.json.encode(event), id_, digest)

    return CompiledRequest(request, read)


def _fields(given: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(given or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
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


def _hash(*parts: bytes) -> bytes:
    """Hash parts by their lengths: no two lists of parts look alike."""
    found = sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


def _given(value: Any) -> Any:
    """Return a value as plain ones, without fields that have their defaults."""
    if isinstance(value, msgspec.Struct):
        fields = {each.encode_name: (getattr(value, each.name), each) for each in msgspec.structs.fields(value)}
        return {name: _given(each) for name, (each, field) in fields.items() if not _is_default(each, field)}
    if isinstance(value, list | tuple):
        return [_given(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _given(each) for name, each in value.items()}
    return value


def _is_default(value: Any, field: msgspec.structs.FieldInfo) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return field.default is not msgspec.NODEFAULT and bool(value == field.default)


def _converted(text: str, kind: Any, name: str) -> Any:
    try:
        # As JSON has it, so that it compares with the field of a body.
        return msgspec.to_builtins(msgspec.convert(text, kind, strict=False))
    except msgspec.ValidationError as error:
        message = f"{error} - at {{{name}}} of the path"
        raise InvalidRequestError(message) from error


def _unknown(given: Any, known: Any, at: str) -> Iterator[str]:
    """Yield what was given and is not known, by its place."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name not in known:
                yield f"{at}.{name}"
            else:
                yield from _unknown(value, known[name], f"{at}.{name}")
    elif isinstance(given, list) and isinstance(known, list | tuple):
        for number, (one, other) in enumerate(zip(given, known, strict=False)):
            yield from _unknown(one, other, f"{at}[{number}]")
