"""The OpenAPI description of the requests that a service declares: what each takes, and what it answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec

from larder.declaring.carried import TRACEPARENT
from larder.declaring.compiled.requests import LEAST_ONCE, MOST_ONCE
from larder.web.openapi import RETRY_AFTER, parameter
from larder.web.posted import IF_MATCH, IF_NONE_MATCH, ONCE
from larder.web.read_options import LONGEST_WAIT, USUAL_WAIT
from larder.web.schemas import TEXT, WHOLE, or_null, ref, thing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from larder.declaring.requests import Request
    from larder.declaring.rows import Row

    Schema = dict[str, Any]

BODY, ROW = "requests.", "rows."
"""What the names of the schemas of bodies and rows begin with: no other name has a dot."""

DECIDED: Final = {
    201: "committed, and there was no row before",
    200: "committed; row is null if there is no row now",
    202: "committed, but the row did not satisfy the predicate in time; Location goes on waiting",
}

PROBLEMS: Final = {
    400: "a parameter or header is not valid, or neither the body nor a header says whose row it is; nothing happened",
    403: "a page of another site sent it; nothing happened",
    409: "the service refused it",
    412: "the row is not the one that the condition names; nothing happened",
    408: "the body did not come in time; nothing happened",
    413: "the body is too large; nothing happened",
    415: "the header Content-Type is not application/json, also without a body; nothing happened",
    421: "the host name is not one of this worker; nothing happened",
    422: "the body is not valid, or its Idempotency-Key came with another one before; nothing happened",
    500: "the service cannot decide on it; nothing happened",
    503: "urn:larder:unknown: the decision may be committed; all others: not possible now, nothing happened",
}

_TOLD_AGAIN: Final = {*DECIDED, HTTPStatus.CONFLICT}
"""Statuses that an Idempotency-Key gets again, since they are decisions."""

_REPLAYED: Final = {
    "description": "the Idempotency-Key came before, and this is its first answer",
    "schema": {"enum": ["true"]},
}
_LOCATION: Final = {"description": "the address of the row, with what is waited for", "required": True, "schema": TEXT}
_ONCE: Final = {
    **parameter(ONCE, "with it, the request counts once; it stands for an id that the body leaves out", where="header"),
    "schema": {**TEXT, "minLength": LEAST_ONCE, "maxLength": MOST_ONCE, "pattern": "^[ -~]*$"},
}
_TRACEPARENT: Final = parameter(
    TRACEPARENT, "the trace of the request, as in W3C Trace Context; what is decided has it too", where="header"
)
_IF_MATCH: Final = parameter(IF_MATCH, 'the revision of the row in quotes, as in "7", or * for any', where="header")
_IF_NONE_MATCH: Final = parameter(IF_NONE_MATCH, "* if there must be no row", where="header")
_UNTIL: Final = parameter("until", "a predicate of the table: answer once the row satisfies it")
_WAIT: Final = parameter(
    "wait", f"seconds to wait for it, {USUAL_WAIT:g} by default, at most {LONGEST_WAIT:g}", "number"
)
_ANSWER: Final = {
    "table": TEXT,
    "key": TEXT,
    "revision": or_null(WHOLE),
    "partition": WHOLE,
    "worker": TEXT,
    "token": or_null(TEXT),
}
_REFUSED: Final = {"allOf": [ref("Problem"), thing({"reason": TEXT})]}
_PROBLEM: Final = {"application/problem+json": {"schema": ref("Problem")}}
_REFUSAL: Final = {"application/problem+json": {"schema": ref("Refused")}}


def described_requests(requests: Sequence[Request]) -> tuple[dict[str, Any], dict[str, Schema]]:
    """Return the paths of requests, and the schemas to which they refer."""
    bodies = _named(BODY, {_type(each) for each in requests})
    rows = _named(ROW, {each.state.topic.row for each in requests})
    schemas = {name: _closed(schema) for name, schema in bodies.schemas.items()}
    paths = {}
    for each in requests:
        name = bodies.names[_type(each)]
        operation = _described(each, name, schemas[name], rows.names[each.state.topic.row])
        paths[each.path] = {"post": operation}
    return paths, {**schemas, **rows.schemas, **({"Refused": _REFUSED} if requests else {})}


class _Named(NamedTuple):
    """The names of types, and the schemas of these and of all types inside, by name."""

    names: Mapping[type[Row], str]
    schemas: Mapping[str, Schema]


def _named(beginning: str, types: Collection[type[Row]]) -> _Named:
    ordered = sorted(types, key=lambda each: (each.__module__, each.__qualname__))
    refs, found = msgspec.json.schema_components(ordered, ref_template=ref(f"{beginning}{{name}}")["$ref"])
    names = {kind: each["$ref"].rpartition("/")[2] for kind, each in zip(ordered, refs, strict=True)}
    return _Named(names, {f"{beginning}{name}": schema for name, schema in found.items()})


def _closed(schema: Schema) -> Schema:
    """Refuse the fields that a type does not know."""
    return {**schema, "additionalProperties": False} if "properties" in schema else schema


def _type(request: Request) -> type[Row]:
    return cast("type[Row]", request.body)


def _described(request: Request, name: str, body: Schema, row: str) -> dict[str, Any]:
    """Describe a request whose body and row have schemas of these names."""
    required = request.required
    given = ref(name) if required == body.get("required", []) else {**body, "required": required}
    answer = {"application/json": {"schema": thing({**_ANSWER, "row": or_null(ref(row))})}}
    contents = {**dict.fromkeys(DECIDED, answer), HTTPStatus.CONFLICT: _REFUSAL}
    answers = {
        str(status): {"description": about, "content": contents.get(status, _PROBLEM), "headers": _headers(status)}
        for status, about in {**DECIDED, **PROBLEMS}.items()
    }
    return {
        "summary": request.sentence(),
        "parameters": [*_in_path(request, body), _ONCE, _TRACEPARENT, _IF_MATCH, _IF_NONE_MATCH, _UNTIL, _WAIT],
        "requestBody": {"required": bool(required), "content": {"application/json": {"schema": given}}},
        "responses": answers,
    }


def _in_path(request: Request, body: Schema) -> Iterator[dict[str, Any]]:
    """Describe the fields in the path, which have no defaults there."""
    names = {each.name: each.encode_name for each in msgspec.structs.fields(_type(request))}
    for name in request.parameters:
        schema = {key: value for key, value in body["properties"][names[name]].items() if key != "default"}
        yield {**parameter(name, f"the field {names[name]} of the request", where="path"), "schema": schema}


def _headers(status: int) -> dict[str, Any]:
    """Describe the headers of an answer."""
    headers: dict[str, Any] = {}
    if status in _TOLD_AGAIN:
        headers["Idempotent-Replayed"] = _REPLAYED
    if status in {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
        headers["Location"] = _LOCATION
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER
    return headers
