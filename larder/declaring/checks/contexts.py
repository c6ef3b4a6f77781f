"""Checks of contexts: their names, and that services read one another's tables only within one.

Pure: values in, problems out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from larder.declaring.names import folder_problems
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.calls import Call
    from larder.declaring.service import Service
    from larder.declaring.sources import RemoteTable


def context_name_problems(service: Service) -> Iterator[Problem]:
    """Check the name of a service's context."""
    if service.context is not None:
        yield from folder_problems(f"context of service {service.name}", str(service.context))


def remote_read_problems(declared: str, service: Service, call: Call) -> Iterator[Problem]:
    """Check which tables a call reads from the workers of other services."""
    for (name, of), count in Counter((each.name, each.table.service) for each in call.remote).items():
        if count > 1:
            yield Problem(declared, "reads requires each table once", f"{count} times {name} of {of}", "keep one")
    for remote in call.remote:
        yield from _context_problems(declared, service, remote)
        if not 0 < remote.timeout <= call.timeout:
            requires = f"the timeout of a read requires more than 0 s, and at most the {call.timeout:g} s of the call"
            yield Problem(declared, requires, f"{remote.timeout:g} s for {remote.name}", "change one of them")


def _context_problems(declared: str, service: Service, remote: RemoteTable) -> Iterator[Problem]:
    table = remote.table
    if table.service == service.name or (service.context is not None and table.context == service.context):
        return
    yield Problem(
        f"{declared}, which reads {table.name} of service {table.service}",
        "a service reads tables over HTTP only within its context; across contexts it reads topics",
        f"{service.name} {_in(service.context)}, and {table.service} {_in(table.context)}",
        f"keep the rows: {service.name}.global_table(...) of the same topic; or declare both services in one context",
    )


def _in(context: str | None) -> str:
    return "in no context" if context is None else f"in context {context}"
