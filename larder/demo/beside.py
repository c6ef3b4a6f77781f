"""What runs beside the counted workers of a demo: workers of more services, and programs of the project.

Each gets a port of its own, and finds the others by variables such as ORDERS_URL. So all can start at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, NamedTuple

from larder.demo.workers import DemoProcess, ProcessRole, running_processes, worker_role
from larder.local_broker.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from larder.demo.declared import Beside

LOOK_SECONDS = 0.2
"""The pause between two looks whether a program has opened its port."""


class PlannedBeside(NamedTuple):
    """What is to run: its processes, the variables with their addresses, and the pages, each by what it is."""

    roles: list[ProcessRole]
    addresses: Mapping[str, str]
    pages: Mapping[str, int]


def planned(beside: Beside) -> PlannedBeside:
    """Give each worker and each program a port."""
    workers = {service: free_port() for service in beside.workers}
    programs = {program: free_port() for program in beside.programs}
    ports = workers | {program.name: port for program, port in programs.items()}
    return PlannedBeside(
        [
            *(
                ProcessRole("program", program.name, (sys.executable, "-m", program.module, "--port", str(port)))
                for program, port in programs.items()
            ),
            *(worker_role(service, 1, port) for service, port in workers.items()),
        ],
        {f"{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()},
        {program.page: port for program, port in programs.items() if program.page},
    )


@contextlib.asynccontextmanager
async def running_beside(
    beside: Beside, logs: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> AsyncIterator[list[DemoProcess]]:
    """Start all, and say where the pages are once they are open; stop all at the end."""
    plan = planned(beside)
    async with running_processes(plan.roles, logs, {**environment, **plan.addresses}) as processes:
        said = [asyncio.create_task(_say_page(what, port, say)) for what, port in plan.pages.items()]
        try:
            yield processes
        finally:
            for each in said:
                each.cancel()


async def _say_page(what: str, port: int, say: Callable[[str], None]) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            say(f"{what}: http://127.0.0.1:{port}/")
            return
        await asyncio.sleep(LOOK_SECONDS)
