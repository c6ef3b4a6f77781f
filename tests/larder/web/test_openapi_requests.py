"""The description of requests is true: what it allows is taken, what is answered is in it. Real HTTP."""

from __future__ import annotations

import asyncio
import enum
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from jsonschema import Draft202012Validator, ValidationError

from larder import Decision, OwnerTopic, Row, Service
from larder.declaring.compiled.requests import InvalidRequestError, compile_request
from larder.declaring.outcomes import ConditionFailedError, NotDecidableError, OtherValueError, Outcome
from larder.local_tables.table import LocalTable
from larder.operators.decides.requests import BusyError, NotDecidedHereError, RequestDesk, UnknownOutcomeError
from larder.web.routes import requests as routes
from larder.web.routes.openapi import whole
from tests.larder.store.samples import Customer, customers
from tests.support.described import require_described, require_schema
from tests.support.serving import Served, serving


class Kind(enum.Enum):
    NEW = "new"
    OLD = "old"


class Line(Row):
    product: str
    count: int = 1


class Place(Row):
    customer_id: str
    kind: Kind
    lines: tuple[Line, ...] = ()
    limit: int = 10


class Leave(Row):
    customer_id: str
    reason: str = ""


class Item(Row):
    number: int
    first: Line
    more: tuple[Line, ...] = ()
    name: str = msgspec.field(default="", name="shownName")


service = Service("shop")
shop_customers = service.global_table(customers)
numbers = service.table(OwnerTopic("numbers", Item, key="number", key_type=int))


@service.request("POST /customers", state=shop_customers)
def place(request: Place, row: Customer | None) -> Decision | None: ...


@service.request("POST /customers/{customer_id}/{limit}/limit", state=shop_customers)
def limit(request: Place, row: Customer | None) -> Decision | None: ...


@service.request("POST /customers/{customer_id}/leave", state=shop_customers)
def leave(request: Leave, row: Customer | None) -> Decision | None: ...


@service.request("POST /numbers", state=numbers)
def number(request: Item, row: Item | None) -> Decision | None: ...


@service.request("POST /numbers/{number}/named/{name}", state=numbers)
def name(request: Item, row: Item | None) -> Decision | None: ...


REQUESTS = service.requests
DESCRIBED = whole(REQUESTS)


def operation(path: str) -> dict[str, Any]:
    found: dict[str, Any] = DESCRIBED["paths"][path]["post"]
    return found


def body_of(path: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(path)["requestBody"]["content"]["application/json"]["schema"]
    return found


def _schemas(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            yield value["schema"]
        for each in value.values():
            yield from _schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from _schemas(each)


def test_the_description_is_valid_and_everything_that_it_refers_to_is_there() -> None:
    for schema in [*_schemas(DESCRIBED["paths"]), *DESCRIBED["components"]["schemas"].values()]:
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DESCRIBED)))
    assert named <= DESCRIBED["components"]["schemas"].keys()
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", each) for each in DESCRIBED["components"]["schemas"])
    for path, item in DESCRIBED["paths"].items():
        (described,) = item.values()
        in_path = [each["name"] for each in described["parameters"] if each["in"] == "path"]
        assert sorted(in_path) == sorted(re.findall(r"\{(\w+)\}", path))


def test_a_worker_without_requests_describes_none() -> None:
    assert {method for item in whole()["paths"].values() for method in item} == {"get"}
    assert "Refused" not in whole()["components"]["schemas"]


def test_parameters_have_the_types_of_their_fields_and_the_header_its_bounds() -> None:
    described = operation("/customers/{customer_id}/{limit}/limit")["parameters"]
    assert [(each["name"], each["in"], each["required"], each["schema"]) for each in described] == [
        ("customer_id", "path", True, {"type": "string"}),
        ("limit", "path", True, {"type": "integer"}),
        (
            "Idempotency-Key",
            "header",
            False,
            {"type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[ -~]*$"},
        ),
        ("traceparent", "header", False, {"type": "string"}),
        ("If-Match", "header", False, {"type": "string"}),
        ("If-None-Match", "header", False, {"type": "string"}),
        ("until", "query", False, {"type": "string"}),
        ("wait", "query", False, {"type": "number"}),
    ]


BODIES = {
    "/customers": [
        {"kind": "new"},
        {"customer_id": "ada", "kind": "old", "lines": [{"product": "ring"}]},
        {"customer_id": "ada"},
        {"kind": "newer"},
        {"kind": "new", "limits": 3},
        {"kind": "new", "lines": [{"product": "ring", "color": "red"}]},
    ],
    "/customers/{customer_id}/{limit}/limit": [{"kind": "new"}, {}, {"kind": "new", "customer_id": "ada", "limit": 7}],
    "/customers/{customer_id}/leave": [{}, {"reason": "none"}, {"reasons": []}],
    "/numbers": [
        {"number": 1, "first": {"product": "ring"}},
        {"first": {"product": "ring"}},
        {"number": 1, "first": {"product": "ring"}, "shownName": "one"},
        {"number": 1, "first": {"product": "ring"}, "name": "one"},
    ],
    "/numbers/{number}/named/{name}": [{"first": {"product": "ring"}}, {"number": 1}],
}
IN_PATH = {"customer_id": "ada", "limit": "7", "number": "1", "name": "one"}


@pytest.mark.parametrize(("path", "body"), [(path, body) for path, bodies in BODIES.items() for body in bodies])
def test_the_schema_of_a_body_allows_exactly_what_is_taken(path: str, body: Mapping[str, Any]) -> None:
    (request,) = [each for each in REQUESTS if each.path == path]
    read = compile_request(request).read
    in_path = {each: IN_PATH[each] for each in request.parameters}
    try:
        require_schema(body_of(path), body, DESCRIBED)
    except ValidationError:
        with pytest.raises(InvalidRequestError):
            read(json.dumps(body).encode(), in_path, "k" * 16)
    else:
        read(json.dumps(body).encode(), in_path, "k" * 16)


def test_a_body_is_optional_if_all_that_it_must_have_is_in_the_path() -> None:
    required = {path: operation(path)["requestBody"]["required"] for path in BODIES}
    assert required == {**dict.fromkeys(BODIES, True), "/customers/{customer_id}/leave": False}


class Deciding(RequestDesk):
    """A desk where every request has the same outcome, at once."""

    def __init__(self, outcome: Outcome | Exception) -> None:
        super().__init__()
        self.outcome = outcome

    async def ask(self, *_: object, **__: object) -> Outcome:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


ROW = b'{"customer_id": "ada", "name": "Ada", "country": null, "revision": 3}'
KEY = {"Idempotency-Key": "3f2c1a52-7d0e-4b6e-9d55"}
ANSWERS: list[tuple[Outcome | Exception, int]] = [
    (Outcome(ROW, 3, existed=False, refusal=None), 201),
    (Outcome(ROW, 3, existed=False, refusal=None, repeated=True), 201),
    (Outcome(ROW, 3, existed=True, refusal=None), 200),
    (Outcome(None, None, existed=True, refusal=None), 200),
    (Outcome(None, None, existed=False, refusal="no more"), 409),
    (OtherValueError("another"), 422),
    (NotDecidableError("ValueError: no"), 500),
    (BusyError("waited"), 503),
    (NotDecidedHereError("moves"), 503),
    (ConditionFailedError("no row"), 412),
    (UnknownOutcomeError("no commit"), 503),
]


async def _send(served: Served, body: Any, status: int, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Send a request, and return the headers of its answer, which is as described."""
    sent = served.address("/customers")
    async with ClientSession() as session, session.post(sent, data=json.dumps(body), headers=headers) as answer:
        found = await answer.json()
        assert answer.status == status, found
        require_described("/customers", status, answer.content_type, found, requests=REQUESTS)
        described = operation("/customers")["responses"][str(status)]["headers"]
        assert {*answer.headers} & {"Location", "Idempotent-Replayed", "Retry-After"} <= described.keys()
        return answer.headers


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("outcome", "status"), ANSWERS)
async def test_answers_are_as_described(
    held: LocalTable, monkeypatch: pytest.MonkeyPatch, outcome: Outcome | Exception, status: int
) -> None:
    monkeypatch.setattr(routes, "MOVE_SECONDS", 0.0)
    async with serving(held, requests=REQUESTS, desk=Deciding(outcome)) as served:
        headers = await _send(served, {"customer_id": "ada", "kind": "new"}, status, {**JSON, **KEY})
    assert ("Location" in headers) == (status == 201)
    assert ("Idempotent-Replayed" in headers) == (isinstance(outcome, Outcome) and outcome.repeated)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"kind": "new"}, JSON, 400),
        ({"kind": "new"}, {**JSON, "Idempotency-Key": "short"}, 400),
        ({"kind": "new"}, {**JSON, "Origin": "http://elsewhere.example"}, 403),
        ({"kind": "n" * 2**21}, JSON, 413),
        ({"kind": "new"}, {"Content-Type": "text/plain"}, 415),
        ({"kind": "new"}, {**JSON, "Host": "evil.example"}, 421),
        ({"kind": "newer"}, {**JSON, **KEY}, 422),
    ],
)
async def test_what_is_not_taken_is_refused_as_described(
    held: LocalTable, body: Any, headers: Mapping[str, str], status: int
) -> None:
    desk = Deciding(AssertionError("nothing is decided"))
    async with serving(held, requests=REQUESTS, desk=desk, bound="127.0.0.1") as served:
        await _send(served, body, status, headers)


async def test_a_body_that_does_not_come_in_time_is_refused_as_described(
    held: LocalTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"customer_id": '
        await asyncio.sleep(20)

    monkeypatch.setattr("larder.web.posted.BODY_SECONDS", 0.2)
    async with serving(held, requests=REQUESTS, desk=Deciding(AssertionError("nothing is decided"))) as served:
        sent = served.address("/customers")
        async with ClientSession() as session, session.post(sent, data=slow(), headers=JSON) as answer:
            found = await answer.json()
    assert answer.status == 408, found
    require_described("/customers", 408, answer.content_type, found, requests=REQUESTS)


async def test_a_worker_serves_the_description_of_its_requests(held: LocalTable) -> None:
    async with serving(held, requests=REQUESTS) as served:
        status, found = await served.get("/openapi.json")
    assert (status, found) == (200, json.loads(json.dumps(DESCRIBED)))
