"""Checks of functions: the number and the types of their parameters.

Pure: the checks inspect functions and never call them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from larder.declaring.missing import PassOn
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.joins import Join


def function_problems(declared: str, join: Join, function: Callable[..., Any]) -> Iterator[Problem]:
    """Check the signature of a join's function; parameters without annotations are accepted."""
    name = getattr(function, "__name__", repr(function))
    declared = f"{declared}, function {name}"
    if not is_plain(function):
        yield not_plain(declared, "a join")
        return
    signature = inspect.signature(function)
    if not takes(signature, 1 + len(join.lookups)):
        yield Problem(
            declared,
            f"a join with {counted(len(join.lookups), 'table')} requires a function of "
            f"{1 + len(join.lookups)} parameters: the order and a row for each table",
            f"{name}{signature}",
            "write one parameter for each, in the order of the tables",
        )
        return
    yield from _type_problems(declared, join, function, list(signature.parameters))


def takes(signature: inspect.Signature, count: int) -> bool:
    """Return whether a function can be called with `count` positional arguments."""
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _type_problems(declared: str, join: Join, function: Callable[..., Any], names: list[str]) -> Iterator[Problem]:
    hints = hints_of(declared, "a join", function)
    if isinstance(hints, Problem):
        yield hints
        return
    passed_on = PassOn in join.missing
    given = [(join.source.row, False)]
    given += [(lookup.table.topic.row, passed_on) for lookup in join.lookups]
    for name, (row, nullable) in zip(names, given, strict=False):
        if not accepts(hints.get(name, Any), row, nullable=nullable):
            yield unfit(declared, f"parameter {name}", _named(row, nullable=nullable), hints[name])
    if not gives(hints.get("return", Any), join.into.row):
        yield unfit(declared, "the result", _named(join.into.row, nullable=True), hints["return"])


def is_plain(function: Callable[..., Any]) -> bool:
    """Return whether a call of the function returns its result: it is neither async nor a generator."""
    return not (inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function))


def not_plain(declared: str, what: str) -> Problem:
    """Return the problem of a function that is not plain."""
    return Problem(
        declared,
        f"{what} requires a pure function, written with def",
        "one that is async or yields",
        "make it plain; code that waits belongs in an agent",
    )


def hints_of(declared: str, what: str, function: Callable[..., Any]) -> dict[str, Any] | Problem:
    """Return the annotated types of a function's parameters and result, or the problem with them."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError) as error:
        return Problem(
            declared,
            f"{what} requires annotations that can be resolved",
            f"{type(error).__name__}: {error}",
            "import the types at the top of the module, not under TYPE_CHECKING",
        )


def accepts(annotation: Any, row: type, *, nullable: bool) -> bool:
    """Return whether a parameter accepts a row and, with `nullable`, also None."""
    options = _options(annotation)
    takes_row = any(option is Any or (isinstance(option, type) and issubclass(row, option)) for option in options)
    takes_none = bool({Any, object, NoneType} & set(options))
    return takes_row and (takes_none or not nullable)


def gives(annotation: Any, *wanted: type) -> bool:
    """Return whether a result is always one of these types, or None."""
    return all(
        option in {Any, NoneType} or (isinstance(option, type) and issubclass(option, wanted))
        for option in _options(annotation)
    )


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in {Union, UnionType}:
        return get_args(annotation)
    return (annotation,)


def _named(row: type, *, nullable: bool) -> str:
    return f"{row.__name__} | None" if nullable else row.__name__


def unfit(declared: str, what: str, wanted: str, found: Any) -> Problem:
    """Return the problem of a parameter or a result with the wrong type."""
    return Problem(
        declared,
        f"{what} requires the type {wanted}",
        found.__name__ if isinstance(found, type) else str(found),
        "annotate it with that type, or declare the topics of these rows",
    )
