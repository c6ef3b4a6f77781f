"""Compiles requests into functions that read what a client sends.

A field that the type does not know is refused by name: otherwise a mistyped one would silently have no effect, and what
is published would say more than what was decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_type_hints

import msgspec

from larder.declaring.problems import LarderError
from larder.declaring.requests import Request
from larder.declaring.rows import Row


class InvalidRequestError(LarderError, ValueError):
    """What a client sent is not a request; the message names the field, as in `$.amount`."""


class ReadRequest(msgspec.Struct, frozen=True):
    """A request: the encoded key of its row, its typed value, and its JSON, which has the fields of its type only."""

    key: bytes
    event: Any
    json: bytes


@dataclass(frozen=True)
class CompiledRequest:
    """A request and its functions.

    read(body, path)  reads the JSON of a body (empty: no fields) and the texts in the path; raises InvalidRequestError.
    """

    request: Request
    read: Callable[[bytes, Mapping[str, str]], ReadRequest]


def compile_request(request: Request) -> CompiledRequest:
    """Build the functions of a request whose declaration has no problems."""
    body = cast("type[Row]", request.body)
    names = {each.name: each.encode_name for each in msgspec.structs.fields(body)}
    types, topic = get_type_hints(body), request.state.topic

    def read(given: bytes, path: Mapping[str, str]) -> ReadRequest:
        fields = _fields(given)
        for name, text in path.items():
            value = _converted(text, types[name], name)
            if fields.setdefault(names[name], value) != value:
                message = f"`$.{names[name]}` differs from the path, which has {text!r}"
                raise InvalidRequestError(message)
        try:
            event = msgspec.convert(fields, body)
        except (msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
            raise InvalidRequestError(str(error)) from error
        if (unknown := next(_unknown(fields, msgspec.to_builtins(event), "$"), None)) is not None:
            message = f"{body.__name__} has no field `{unknown}`"
            raise InvalidRequestError(message)
        return ReadRequest(topic.key_codec.encode(getattr(event, topic.key)), event, msgspec.json.encode(event))

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
    elif isinstance(given, list) and isinstance(known, list):
        for number, (one, other) in enumerate(zip(given, known, strict=False)):
            yield from _unknown(one, other, f"{at}[{number}]")
