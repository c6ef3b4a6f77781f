"""Checks of a reaction: its table, the topics of its events, its function.

Pure: values in, problems out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from larder.declaring.checks.decides import emit_problems
from larder.declaring.checks.functions import accepts, hints_of, is_plain, not_plain, takes, unfit
from larder.declaring.fields import unreadable
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.reactions import Reaction
    from larder.declaring.service import Service


def reaction_problems(service: Service, reaction: Reaction) -> Iterator[Problem]:
    """Check a reaction."""
    table = reaction.table
    declared = f"on_change of {table.name}"
    if table.service != service.name:
        yield Problem(
            declared,
            "a reaction requires a table of its own service",
            f"one of {table.service}",
            f"declare it: {service.name}.table(...)",
        )
    if table.held == "global" and reaction.into:
        yield Problem(
            declared,
            "a reaction on a global table emits nothing: each worker would",
            f"into={', '.join(topic.name for topic in reaction.into)}",
            "make the table co-partitioned, or leave `into` out",
        )
    if any(decide.state.name == table.name for decide in service.decides):
        yield Problem(
            declared,
            "a reaction requires a table that is followed",
            f"one that {service.name} decides on",
            "emit from the decide, which knows what it changes",
        )
    yield from emit_problems(declared, reaction.into)
    if not unreadable(table.topic.row):
        yield from _function_problems(declared, reaction)


def _function_problems(declared: str, reaction: Reaction) -> Iterator[Problem]:
    function, row = reaction.function, reaction.table.topic.row
    if function is None:
        yield Problem(declared, "requires a function", "none", "decorate one: @service.on_change(table)")
        return
    if not is_plain(function):
        yield not_plain(declared, "a reaction")
        return
    signature = inspect.signature(function)
    if not takes(signature, 2):
        found = f"{reaction.name}{signature}"
        yield Problem(declared, "requires a function of the old row and the new one", found, "write two parameters")
        return
    hints = hints_of(declared, "a reaction", function)
    if isinstance(hints, Problem):
        yield hints
        return
    for name in list(signature.parameters)[:2]:
        if name in hints and not accepts(hints[name], row, nullable=True):
            yield unfit(declared, f"parameter {name}", f"{row.__name__} | None", hints[name])
