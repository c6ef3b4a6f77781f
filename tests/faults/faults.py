"""The faults, each a small function: it begins, it ends, and leaves all workers running."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.faults.field import Field
from tests.faults.plan import Fault


async def kill(field: Field, fault: Fault) -> None:
    """kill -9; the worker is started again after a while."""
    await field.kill(fault.worker)
    await asyncio.sleep(fault.seconds)
    field.start(fault.worker)


async def pause(field: Field, fault: Fault) -> None:
    """SIGSTOP, then SIGCONT."""
    await field.pause(fault.worker, fault.seconds)


FAULTS: dict[str, Callable[[Field, Fault], Awaitable[None]]] = {
    "kill": kill,
    "pause": pause,
}


async def run(field: Field, fault: Fault) -> None:
    """Wait for its time, and do it."""
    await asyncio.sleep(fault.at)
    field.history.note(f"fault {fault}")
    await FAULTS[fault.name](field, fault)
    field.history.note(f"end of {fault.name} {fault.worker}")
