"""Checks of a request: its address, its state, its function.

Pure: values in, problems out. `topics` checks the topics themselves.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from larder.declaring.checks.decides import emit_problems, kept_problems, state_problems
from larder.declaring.checks.functions import accepts, gives, hints_of, is_plain, not_plain, takes, unfit
from larder.declaring.checks.keys import holds_key_of
from larder.declaring.checks.topics import type_name
from larder.declaring.counted_requests import requests_name
from larder.declaring.decisions import Decision
from larder.declaring.facts import Facts
from larder.declaring.fields import unreadable
from larder.declaring.problems import Problem
from larder.declaring.rows import Row

if TYPE_CHECKING:
    from larder.declaring.requests import Request
    from larder.declaring.service import Service

ADDRESS: Final = re.compile(r"POST(?: )(?:/(?:[a-z0-9][a-z0-9_.-]*|\{[A-Za-z_][A-Za-z0-9_]*\}))+")

TAKEN: Final = frozenset(
    {
        "calls", "dead-letters", "health", "joins", "metrics", "openapi.json", "recovery", "refusals", "requests",
        "services", "static", "tables", "topology", "trace",
    }
)  # fmt: skip
"""The first parts of the paths that a worker answers itself. A test compares them with its routes."""


def request_problems(service: Service, request: Request, facts: Facts) -> Iterator[Problem]:
    """Check a request; skip checks that depend on an unreadable row type."""
    declared = f"request {request.address}"
    yield from _address_problems(declared, service, request)
    yield from state_problems(declared, service, request)
    yield from emit_problems(declared, request.into)
    if unreadable(request.state.topic.row):
        return
    counted = requests_name(service.name, request.state)
    yield from kept_problems(declared, service, request, "requests that count once", counted, facts)
    if request.function is None:
        yield Problem(declared, "requires a function", "none", "decorate one: @service.request(...)")
    else:
        yield from _function_problems(declared, request, request.function)


def _address_problems(declared: str, service: Service, request: Request) -> Iterator[Problem]:
    if not ADDRESS.fullmatch(request.address):
        do = 'write it like "POST /orders" or "POST /orders/{order_id}/cancel", in lower case'
        yield Problem(declared, "requires POST and a path as its address", repr(request.address), do)
        return
    first = request.path.split("/")[1]
    if first in TAKEN or first.startswith("{"):
        requires = "requires a path that begins with a word of its own"
        yield Problem(declared, requires, f"/{first}, which workers need themselves", "choose another word")
    same = [each for each in service.requests if _shape(each.path) == _shape(request.path)]
    if len(same) > 1 and same[0] is request:
        found = "several: " + ", ".join(each.address for each in same)
        yield Problem(declared, "requires an address of its own", found, "change the others")


def _shape(path: str) -> list[str]:
    return ["{}" if part.startswith("{") else part for part in path.split("/")]


def _function_problems(declared: str, request: Request, function: Callable[..., Any]) -> Iterator[Problem]:
    name = getattr(function, "__name__", repr(function))
    declared = f"{declared}, function {name}"
    if not is_plain(function):
        yield not_plain(declared, "a request")
        return
    signature = inspect.signature(function)
    if not (takes(signature, 2) or takes(signature, 3)):
        yield Problem(
            declared,
            "a request requires a function of the request, the row, and `near` if it is wanted",
            f"{name}{signature}",
            "write two or three parameters",
        )
        return
    hints = hints_of(declared, "a request", function)
    if isinstance(hints, Problem):
        yield hints
        return
    first, row = list(signature.parameters)[:2]
    body = request.body
    if body is None:
        found = str(hints.get(first, "none"))
        do = "annotate it with one subclass of Row; wake-ups go to the decide of the state"
        yield Problem(declared, f"parameter {first} requires the type of the request", found, do)
        return
    yield from _body_problems(declared, request, body)
    state = request.state.topic.row
    if not accepts(hints.get(row, Any), state, nullable=True):
        yield unfit(declared, f"parameter {row}", f"{state.__name__} | None", hints[row])
    if "return" in hints and not gives(hints["return"], Decision):
        yield unfit(declared, "the result", "Decision | None", hints["return"])


def _body_problems(declared: str, request: Request, body: type[Row]) -> Iterator[Problem]:
    if problem := unreadable(body):
        yield Problem(declared, "requires a request that can be read from JSON", str(problem), "change its type")
        return
    topic = request.state.topic
    if topic.key not in body.__struct_fields__ or not holds_key_of(topic, body, topic.key):
        found = type_name(body, topic.key) if topic.key in body.__struct_fields__ else f"a {body.__name__} without it"
        requires = f"requires the field {topic.key} of type {topic.key_type.__name__}, which says whose row it is about"
        yield Problem(declared, requires, found, f"add it to {body.__name__}; it may also be in the path")
    if request.scope and request.scope not in body.__struct_fields__:
        requires = f"requires a field of {body.__name__} as its scope"
        yield Problem(declared, requires, repr(request.scope), f"rename it, or add the field to {body.__name__}")
    for name in request.parameters:
        if name not in body.__struct_fields__:
            requires = f"requires a field of {body.__name__} for each part in braces of its path"
            yield Problem(declared, requires, f"{{{name}}}", f"rename it, or add the field to {body.__name__}")
