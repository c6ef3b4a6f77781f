"""Failures of requests have one status: that of the error is that of its kind."""

from __future__ import annotations

from typing import TypeVar

from larder.declaring.compiled.requests import InvalidRequestError
from larder.declaring.outcomes import RequestFailedError
from larder.web.responses import KINDS
from larder.web.routes.requests import FAILURES

Error = TypeVar("Error", bound=Exception)


def kinds_of(error: type[Error]) -> set[type[Error]]:
    return {error}.union(*map(kinds_of, error.__subclasses__()))


def test_each_failure_of_a_request_has_a_kind_with_its_status() -> None:
    assert set(FAILURES) == {*kinds_of(InvalidRequestError), *kinds_of(RequestFailedError)} - {RequestFailedError}
    assert {each: KINDS[kind].status for each, (kind, _, _) in FAILURES.items()} == {
        each: each.status for each in FAILURES
    }
