"""Checks of the predicates that clients may wait for. Pure: values in, problems out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from larder.declaring.checks.functions import accepts, gives, hints_of, is_plain, not_plain, takes, unfit
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.predicates import Predicate
    from larder.declaring.service import Service

WHAT = "a predicate"


def predicate_problems(service: Service, predicate: Predicate) -> Iterator[Problem]:
    """Check a predicate: its table, its name, its function."""
    declared = f"predicate {predicate.name or 'without a name'} of table {predicate.table.name}"
    if predicate.table not in service.tables:
        requires = f"requires a table of service {service.name}"
        yield Problem(declared, requires, f"one of {predicate.table.service}", "declare it in that service")
    same = [each for each in service.predicates if (each.table, each.name) == (predicate.table, predicate.name)]
    if len(same) > 1 and same[0] is predicate:
        yield Problem(declared, "requires a name of its own", f"{len(same)} of that name", "rename the others")
    if predicate.function is None or not predicate.name.isidentifier():
        yield Problem(declared, "requires a function with a name", "none", "decorate one: @service.predicate(table)")
        return
    yield from _function_problems(declared, predicate, predicate.function)


def _function_problems(declared: str, predicate: Predicate, function: Callable[..., Any]) -> Iterator[Problem]:
    if not is_plain(function):
        yield not_plain(declared, WHAT)
        return
    signature = inspect.signature(function)
    if not takes(signature, 1):
        yield Problem(declared, "requires a function of the row", f"{predicate.name}{signature}", "write one parameter")
        return
    hints = hints_of(declared, WHAT, function)
    if isinstance(hints, Problem):
        yield hints
        return
    first, row = next(iter(signature.parameters)), predicate.table.topic.row
    if not accepts(hints.get(first, Any), row, nullable=False):
        yield unfit(declared, f"parameter {first}", row.__name__, hints[first])
    if "return" in hints and not gives(hints["return"], bool):
        yield unfit(declared, "the result", "bool", hints["return"])
