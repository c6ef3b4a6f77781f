"""Checks of an agent: its function.

Pure: values in, problems out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from larder.declaring.checks.functions import takes
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.agents import AgentDeclaration
    from larder.declaring.service import Service


def agent_problems(service: Service, agent: AgentDeclaration) -> Iterator[Problem]:
    """Check the function of an agent."""
    if not inspect.iscoroutinefunction(agent.function):
        found = agent.name
    elif not takes(signature := inspect.signature(agent.function), 1):
        found = f"{agent.name}{signature}"
    else:
        return
    yield Problem(
        f"service {service.name}",
        "an agent requires an async function of one parameter, its batches",
        found,
        f"write async def {agent.name}(batches)",
    )
