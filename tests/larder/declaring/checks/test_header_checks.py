"""Which headers a service may declare, and which of a request go along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from larder import Service
from larder.declaring.carried import carried_by_request, carried_names
from larder.declaring.checks.declarations import problems

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def found(headers: Any) -> list[str]:
    return [str(each) for each in problems([Service("shop", headers=headers)])]


@pytest.mark.parametrize("headers", [(), ["tenant"], ("tenant", "x-shop.id", "tracestate"), ["a" * 64]])
def test_names_of_headers_are_accepted(headers: Sequence[str]) -> None:
    assert found(headers) == []
    assert carried_names(Service("shop", headers=headers)) == {"traceparent", *headers}


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ("tenant", 'write headers=["tenant"]'),
        ([1], "requires a list of names"),
        (None, "requires a list of names"),
        (["larder.cause"], "requires names that do not begin with larder."),
        (["traceparent"], "every service has it"),
        (["authorization"], "without credentials"),
        (["Tenant"], "lower-case"),
        (["a tenant"], "lower-case"),
        ([""], "lower-case"),
        (["a" * 65], "1 to 64"),
        (["tenant", "tenant"], "requires each name once"),
        ([f"h{number}" for number in range(17)], "requires at most 16 names"),
    ],
)
def test_other_names_are_refused(headers: Any, part: str) -> None:
    (problem,) = found(headers)
    assert part in problem
    assert "service shop, headers" in problem


def test_only_declared_headers_of_a_request_go_along() -> None:
    headers = {"traceparent": PARENT, "tenant": "acme", "larder.cause": "a/0/1", "authorization": "Bearer x"}
    assert carried_by_request(headers, ["traceparent", "tenant"]) == {"traceparent": PARENT, "tenant": "acme"}


@pytest.mark.parametrize("parent", ["", "none", PARENT.upper(), PARENT[:-1], "\udc80", PARENT + "\n"])
def test_a_trace_that_is_none_is_ignored(parent: str) -> None:
    assert carried_by_request({"traceparent": parent, "tenant": "a\nb"}, ["traceparent", "tenant"]) == {}
