"""The OpenAPI 3.1 description of all addresses, built from the data beside each group of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from larder.web.schemas import ref

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Operation(NamedTuple):
    """GET on an address: its parameters, the schema of its answer, and its problems besides the general ones.

    `unwell` are statuses other than 200 with the same answer.
    """

    summary: str
    parameters: Sequence[Mapping[str, Any]]
    answer: str
    problems: Sequence[int] = ()
    media: str = "application/json"
    unwell: Sequence[int] = ()


PROBLEMS = {
    400: "an invalid request",
    404: "it does not exist, for certain",
    405: "neither GET nor HEAD",
    413: "a request with a body",
    421: "the host name is not one of this worker",
    500: "the worker has a defect; its log says which",
    503: "not possible now, or not in time",
}

OF_ALL = frozenset(PROBLEMS) - {404}
"""Problems that any address may answer with."""

RETRY_AFTER = {"description": "seconds after which to retry", "schema": {"type": "integer"}}


def parameter(name: str, about: str, kind: str = "string", where: str = "query") -> dict[str, Any]:
    """Describe a parameter; an "array" may be repeated."""
    schema: dict[str, Any] = {"type": kind}
    if kind == "array":
        schema["items"] = {"type": "string"}
    return {"name": name, "in": where, "required": where == "path", "description": about, "schema": schema}


def described_operations(operations: Mapping[str, Operation]) -> dict[str, Any]:
    """Return the paths of operations."""
    return {path: {"get": _described(operation)} for path, operation in operations.items()}


def description(paths: Mapping[str, Any], schemas: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "A worker of Larder", "version": version},
        "paths": dict(paths),
        "components": {"schemas": dict(schemas)},
    }


def _described(operation: Operation) -> dict[str, Any]:
    answers = {"200": _answered(operation)}
    for status in sorted({*OF_ALL, *operation.problems}):
        answers[str(status)] = _refused(status, operation)
    return {"summary": operation.summary, "parameters": list(operation.parameters), "responses": answers}


def _answered(operation: Operation) -> dict[str, Any]:
    return {"description": operation.summary, "content": {operation.media: {"schema": ref(operation.answer)}}}


def _refused(status: int, operation: Operation) -> dict[str, Any]:
    """Describe a problem, and the answer of an unwell worker."""
    content = {"application/problem+json": {"schema": ref("Problem")}}
    if status in operation.unwell:
        content |= _answered(operation)["content"]
    headers = {"headers": {"Retry-After": RETRY_AFTER}} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return {"description": PROBLEMS[status], "content": content, **headers}
