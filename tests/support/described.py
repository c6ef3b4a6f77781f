"""Compares answers of a worker's web port with its own description of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

from larder.declaring.requests import Request as DeclaredRequest
from larder.web.routes.openapi import whole

PROBLEM = "application/problem+json"


def require_described(
    path: str,
    status: int,
    media: str,
    body: Any,
    headers: Mapping[str, str] | None = None,
    requests: Sequence[DeclaredRequest] = (),
) -> str:
    """Fail if an answer is not as described, to GET or to one of the `requests`. Return the address of the path."""
    described = whole(requests)
    address, operation = _operation(described, path)
    response = operation["responses"][str(status)]
    assert media in response["content"], address
    require_schema(response["content"][media]["schema"], body, described)
    if headers is not None:
        said = {"Retry-After"} if media == PROBLEM and "headers" in response else set()
        assert {*headers} & {"Retry-After"} == said, address
        assert all(headers[name].isdigit() for name in said)
    return address


def require_schema(schema: Mapping[str, Any] | str, body: Any, described: Mapping[str, Any] | None = None) -> None:
    """Fail if a value does not conform to a schema, which may be given by name."""
    components = (described or whole())["components"]
    found = components["schemas"][schema] if isinstance(schema, str) else schema
    Draft202012Validator({**found, "components": components}).validate(body)


def _operation(described: Mapping[str, Any], path: str) -> tuple[str, dict[str, Any]]:
    """Return the described address that matches the path with the fewest placeholders, and its only operation."""
    paths = described["paths"]
    fitting = [each for each in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path.partition("?")[0])]
    found = min(fitting, key=lambda each: each.count("{"))
    (operation,) = paths[found].values()
    return found, operation


class Answer(NamedTuple):
    """Status, headers and body, unchanged."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(port: int, request: str) -> Answer:
    """Send exactly these characters on a new connection, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    async with asyncio.timeout(5):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    return Answer(int(status.split(" ")[1]), headers, body)


REFUSED = {
    "GET {0} HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n": 400,
    "POST {0} HTTP/1.1\r\nHost: localhost\r\n\r\n": 405,
    "GET {0} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx": 413,
    "GET {0} HTTP/1.1\r\nHost: evil.example\r\n\r\n": 421,
}
"""Requests that a worker on loopback refuses at every address."""


async def require_refusals(port: int, paths: Iterable[str]) -> None:
    """Fail unless these requests are refused as described."""
    for path in paths:
        for request, status in REFUSED.items():
            answer = await exchange(port, request.format(path))
            assert (answer.status, path) == (status, path)
            require_described(path, status, answer.headers["Content-Type"], json.loads(answer.body), answer.headers)
