"""Checks of a call: its source, the topics of its results, its limits, its function.

Pure: values in, problems out. `topics` checks the topics themselves.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from larder.declaring.checks.contexts import remote_read_problems
from larder.declaring.checks.decides import emit_problems
from larder.declaring.checks.functions import accepts, gives, hints_of, is_plain, not_plain, takes, unfit
from larder.declaring.checks.keys import input_key_problems
from larder.declaring.checks.kinds import into_problems, is_a, shown
from larder.declaring.checks.topics import rekey_problems
from larder.declaring.facts import RESTORE, Facts
from larder.declaring.fields import unreadable
from larder.declaring.partition_counts import partitions
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.declaring.sources import RemoteTable, TableUse
from larder.declaring.topics import EventTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.calls import Call
    from larder.declaring.service import Service

LONGEST_TIMEOUT: Final = 300.0
"""A worker that takes a partition over waits so long for the outcome of a call that another one has begun."""


NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


def call_kind_problems(service: Service, call: Call) -> Iterator[Problem]:
    """Check the arguments of a call."""
    declared = f"call {call.name}"
    events = call.source.source if isinstance(call.source, Rekeyed) else call.source
    if not is_a(EventTopic, events):
        do = 'give it an EventTopic, or events.by("field"); for rows, emit an event with on_change'
        yield Problem(declared, "a call requires a topic of events", shown(call.source), do)
    yield from into_problems(declared, "a call", call.into)
    if call.only_while is not None and not is_a(TableUse, call.only_while.table):
        do = f"declare one: orders = {service.name}.table(...)"
        yield Problem(declared, "only_while requires a table of its service", shown(call.only_while.table), do)
    for remote in call.remote:
        if not is_a(RemoteTable, remote):
            do = "give it table.remote(timeout=...), for a table that its service declares"
            yield Problem(declared, "reads requires tables as they are read over HTTP", shown(remote), do)


def call_problems(service: Service, call: Call, facts: Facts) -> Iterator[Problem]:
    """Check a call; skip checks that depend on an unreadable row type."""
    declared = f"call {call.name}"
    yield from emit_problems(declared, call.into)
    yield from _limit_problems(declared, call)
    yield from remote_read_problems(declared, service, call)
    if sum(each.name == call.name for each in service.calls) > 1:
        yield Problem(declared, "requires a name of its own: its topics have it", "several", "rename a function")
    if call.named and not NAME.fullmatch(call.named):
        requires = "name requires letters, digits, _ and -: its topics have it"
        yield Problem(declared, requires, repr(call.named), "change it")
    if unreadable(call.source.row):
        return
    if isinstance(call.source, Rekeyed):
        unknown = list(rekey_problems(declared, call.source))
        yield from unknown
        if unknown:
            return
    yield from _table_problems(declared, service, call)
    yield from _count_problems(declared, service, call, facts)
    if call.function is None:
        yield Problem(declared, "requires a function", "none", "decorate one: @service.call(...)")
    else:
        yield from _function_problems(declared, call, call.function)


def _limit_problems(declared: str, call: Call) -> Iterator[Problem]:
    retry = call.retry
    limits: list[tuple[str, float, float, float]] = [
        ("timeout", call.timeout, 0.001, LONGEST_TIMEOUT),
        ("at_once", call.at_once, 1, 10_000),
        ("threads", call.threads, 0, 1_000),
        ("at_most", call.at_most, 1, 1_000_000),
        ("retry.first", retry.first, 0.001, retry.most),
        ("retry.most", retry.most, retry.first, 86_400),
        ("retry.within", retry.within, 0, 30 * 86_400),
        ("retry.attempts", retry.attempts, 1, 1_000_000),
    ]
    for name, found, least, most in limits:
        if not least <= found <= most:
            yield Problem(declared, f"{name} requires a number from {least:g} to {most:g}", f"{found:g}", "change it")
    if call.unknown not in {"retry", "dead-letter"}:
        yield Problem(declared, 'unknown requires "retry" or "dead-letter"', repr(call.unknown), "use one of them")


def _table_problems(declared: str, service: Service, call: Call) -> Iterator[Problem]:
    for table in call.uses():
        if table.service != service.name:
            do = f"declare it: {service.name}.table(...)"
            yield Problem(declared, "only_while requires a table of its own service", f"one of {table.service}", do)
        yield from input_key_problems(declared, call.source, table.topic)


def _count_problems(declared: str, service: Service, call: Call, facts: Facts) -> Iterator[Problem]:
    wanted = partitions(service, call.source, facts)
    for kept in call.keeps(service.name):
        found = facts.get(kept.name)
        if found is not None and found.partitions != wanted:
            requires = f"{counted(wanted, 'partition')} in {kept.name}, as many as {call.source.name} has"
            yield Problem(declared, f"requires {requires}", str(found.partitions), RESTORE)


def _function_problems(declared: str, call: Call, function: Callable[..., Any]) -> Iterator[Problem]:
    if call.threads and call.remote:
        yield Problem(
            declared, "with reads requires an async function, which can await them", "threads",
            "write async def, and leave threads out",
        )  # fmt: skip
        return
    if call.threads and not is_plain(function):
        yield Problem(
            declared, "with threads requires a function that is written with def", "one that is async or yields",
            "leave threads out",
        )  # fmt: skip
        return
    if not call.threads and not inspect.iscoroutinefunction(function):
        yield Problem(
            declared, "requires an async function", "one that is written with def, and would stop all other work",
            "write async def, or let threads run it: threads=4",
        )  # fmt: skip
        return
    signature = inspect.signature(function)
    if not takes(signature, 2):
        requires = "requires a function of the event and the attempt"
        yield Problem(declared, requires, f"{call.name}{signature}", "write two parameters")
        return
    hints = hints_of(declared, "a call", function)
    if isinstance(hints, Problem):
        yield hints
        return
    first = next(iter(signature.parameters))
    if not accepts(hints.get(first, Any), call.source.row, nullable=False):
        yield unfit(declared, f"parameter {first}", call.source.row.__name__, hints[first])
    yield from _result_problems(declared, call, hints.get("return", Any))
    if call.otherwise is not None:
        yield from _otherwise_problems(f"{declared}, otherwise", call, call.otherwise)


def _result_problems(declared: str, call: Call, result: Any) -> Iterator[Problem]:
    rows = [topic.row for topic in call.into]
    if isinstance(result, type) and not gives(result, *rows, list, tuple):
        wanted = " | ".join(each.__name__ for each in rows) or "None"
        yield unfit(declared, "the result", wanted, result)


def _otherwise_problems(declared: str, call: Call, function: Callable[..., Any]) -> Iterator[Problem]:
    if not is_plain(function):
        yield not_plain(declared, "otherwise")
    elif not takes(inspect.signature(function), 2):
        requires = "requires a function of the event and of why the call was given up"
        yield Problem(declared, requires, str(inspect.signature(function)), "write two parameters")
    else:
        hints = hints_of(declared, "otherwise", function)
        if isinstance(hints, Problem):
            yield hints
        else:
            yield from _result_problems(declared, call, hints.get("return", Any))
