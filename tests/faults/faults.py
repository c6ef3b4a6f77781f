"""The faults, each a small function. When it ends, all workers run and all connections are open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.faults.compaction import compact_soon
from tests.faults.field import Field
from tests.faults.history import Violation
from tests.faults.plan import GROWN, WORKERS, Fault
from tests.support.topics import grow

STEP_SECONDS = 8.0
"""Time for a worker to start and to reach a step or get partitions. If it does not, the trial continues."""

DISK_SECONDS = 5.0
"""Time for a worker to notice that its disk is full: it writes rows all the time."""

FULL_BYTES = 4096

SCALED_SECONDS = 90.0
"""Time for a growth that faults interrupt."""

TAKEN_OVER = "partitions already, and no topic that has grown"
"""What a refusal says if a growth has nothing left to do."""

FENCE_SECONDS = 1.0
"""Time for a running broker to fence a producer."""


async def kill(field: Field, fault: Fault) -> None:
    """Kill the worker with SIGKILL, and start it again later."""
    await field.kill(fault.worker)
    await asyncio.sleep(fault.seconds)
    field.start(fault.worker)


async def lost_disk(field: Field, fault: Fault) -> None:
    """Kill the worker with SIGKILL and delete its stores, so that it starts from scratch."""
    await field.kill(fault.worker)
    shutil.rmtree(field.workers[fault.worker].tables, ignore_errors=True)
    await asyncio.sleep(fault.seconds)
    field.start(fault.worker)


async def fence(field: Field, fault: Fault) -> None:
    """Fence the worker's producer repeatedly, which also ends its transaction."""
    until = time.monotonic() + fault.seconds
    while time.monotonic() < until:
        producer = AIOKafkaProducer(
            bootstrap_servers=field.rig.kafka, transactional_id=f"{field.prefix}.{fault.worker}"
        )
        try:
            async with asyncio.timeout(FENCE_SECONDS):
                await producer.start()
        except (KafkaError, TimeoutError):
            field.history.note("the broker is down: no producer was fenced")
        finally:
            await producer.stop()
        await asyncio.sleep(FENCE_SECONDS / 2)


async def changed_type(field: Field, fault: Fault) -> None:
    """Restart all workers with a version that cannot read the rows of their states, then with the previous version.

    A single worker would seldom have a partition with rows.
    """
    await _replace_all(field, changed=True)
    if not await _until(lambda: any(_has_inputs(field, name) for name in WORKERS)):
        field.history.note("no worker with the changed type has partitions")
    await asyncio.sleep(fault.seconds)
    await _replace_all(field, changed=False)


async def _replace_all(field: Field, *, changed: bool) -> None:
    for name in WORKERS:
        await field.kill(name)
    for name in WORKERS:
        field.start(name, changed=changed)


async def kill_at_step(field: Field, fault: Fault) -> None:
    """Kill the worker between two of its steps, some time after a restart."""
    await field.kill(fault.worker)
    field.start(fault.worker, fault.step)
    if await _until(lambda: not field.look(fault.worker)):
        field.history.note(f"worker {fault.worker} died at {fault.step}")
    else:
        # It must not die later, when the suite asks it to stop.
        await field.kill(fault.worker)
    field.start(fault.worker)


async def pause(field: Field, fault: Fault) -> None:
    """Stop the worker with SIGSTOP, then continue it."""
    await field.pause(fault.worker, fault.seconds)


async def pause_at_step(field: Field, fault: Fault) -> None:
    """Stop the worker with SIGSTOP between two steps, for example within a transaction, then continue it."""
    await field.kill(fault.worker)
    field.start(fault.worker, f"{fault.step}:SIGSTOP")
    if await _until(lambda: not field.look(fault.worker) or _is_stopped(field, fault.worker)):
        field.history.note(f"worker {fault.worker} stopped at {fault.step}")
        if field.look(fault.worker):
            await field.asleep(fault.worker, fault.seconds)
    else:
        # It must not stop later, when the suite would not continue it.
        await field.kill(fault.worker)
        field.start(fault.worker)


async def kill_broker(field: Field, fault: Fault) -> None:
    """Kill the broker for some seconds."""
    async with field.rig.broker_turn:
        await field.rig.kill_broker()
        await asyncio.sleep(fault.seconds)
        await field.rig.start_broker()


async def pause_broker(field: Field, fault: Fault) -> None:
    """Stop the broker: it keeps its connections but does not answer."""
    async with field.rig.broker_turn:
        running, since = field.rig.broker.running, time.time()
        if running is not None:
            os.kill(running.pid, signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            os.kill(running.pid, signal.SIGCONT)
            field.history.held_up.append((since, time.time()))


async def cut(field: Field, fault: Fault) -> None:
    """Close the worker's connections, and refuse new ones."""
    field.rig.proxies[fault.worker].set("cut")
    await asyncio.sleep(fault.seconds)
    field.rig.proxies[fault.worker].set("open")


async def hold(field: Field, fault: Fault) -> None:
    """Hold all data to and from the worker for some seconds, then let it through."""
    since = time.time()
    field.rig.proxies[fault.worker].set("held")
    await asyncio.sleep(fault.seconds)
    field.rig.proxies[fault.worker].set("open")
    field.history.held_up.append((since, time.time()))


async def slow(field: Field, fault: Fault) -> None:
    """Delay all data to and from the worker."""
    since = time.time()
    field.rig.proxies[fault.worker].set("open", fault.seconds / 20)
    await asyncio.sleep(fault.seconds)
    field.rig.proxies[fault.worker].set("open")
    field.history.held_up.append((since, time.time()))


async def full_disk(field: Field, fault: Fault) -> None:
    """Let no file of the worker grow, so that it exits with the code for a full disk. Then make room again."""
    if not field.look(fault.worker):
        return
    pid = field.workers[fault.worker].process.pid
    field.without_room.add(pid)
    with contextlib.suppress(ProcessLookupError):  # another fault has ended it
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
        if not await _until(lambda: not field.look(fault.worker), DISK_SECONDS):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    field.start(fault.worker)


async def rolling_restart(field: Field, _: Fault) -> None:
    """Restart the workers one after the other: ask each to stop, and start it again."""
    for name in WORKERS:
        await field.stop(name)
        field.start(name)
        await _until(lambda name=name: (field.workers[name].get("/services") or [0])[0] == 200)


async def fourth(field: Field, fault: Fault) -> None:
    """Add a fourth worker, then stop or kill it."""
    field.start("four")
    await asyncio.sleep(2 + fault.seconds)
    await (field.kill("four") if fault.worker == "one" else field.stop("four"))


async def compaction(field: Field, _: Fault) -> None:
    """Make the compacted topics keep little more than the last record of each key from now on."""
    await compact_soon(field.rig.kafka, field.prefix, field.owned)


async def scale(field: Field, fault: Fault) -> None:
    """Scale the service, or begin to and cancel it; wait until it is over, whatever happens to the command."""
    partitions, _, manner = fault.step.partition(" ")
    if manner == "overtaken":
        await _grown(field)
        await asyncio.sleep(fault.seconds)
    asking = asyncio.create_task(field.larder("scale", field.prefix, "--partitions", partitions))
    if manner == "cancelled":
        await asyncio.sleep(fault.seconds)
        field.history.note(f"cancel: {await field.larder('scale', field.prefix, '--cancel')}")
    field.history.note(f"scale {partitions}: {await asking}")
    await _until_said(field, "a growth", lambda said: said.startswith(("0", "1")))
    if manner == "overtaken":
        # What follows the products natively is held until a growth takes them over.
        await _until_said(field, "the growth that takes over", _taken_over, "--partitions", partitions)


async def _grown(field: Field) -> None:
    """Let the owner of the products add partitions, as soon as the broker is there."""
    async with field.rig.broker_turn:
        await grow(field.rig.kafka, field.name("products"), GROWN)
    field.history.note(f"products have {GROWN} partitions")


def _taken_over(said: str) -> bool:
    return said.startswith("0") or TAKEN_OVER in said


async def _until_said(field: Field, what: str, over: Callable[[str], bool], *arguments: str) -> None:
    """Run the command until its exit code and its text say that it is over."""
    deadline = time.monotonic() + SCALED_SECONDS
    while not over(said := await field.larder("scale", field.prefix, *arguments)):
        if time.monotonic() > deadline:
            field.history.violations.append(Violation("hangs", f"{what} is not over: {said}"))
            return


FAULTS: dict[str, Callable[[Field, Fault], Awaitable[None]]] = {
    "kill": kill,
    "lost-disk": lost_disk,
    "fence": fence,
    "changed-type": changed_type,
    "kill-at-step": kill_at_step,
    "pause": pause,
    "pause-at-step": pause_at_step,
    "kill-broker": kill_broker,
    "pause-broker": pause_broker,
    "cut": cut,
    "hold": hold,
    "slow": slow,
    "full-disk": full_disk,
    "rolling-restart": rolling_restart,
    "fourth": fourth,
    "compaction": compaction,
    "scale": scale,
}


async def run(field: Field, fault: Fault) -> None:
    """Wait for the time of the fault, and run it."""
    await asyncio.sleep(fault.at)
    field.history.note(f"fault {fault}")
    await FAULTS[fault.name](field, fault)
    field.history.note(f"end of {fault.name} {fault.worker}")


async def _until(look: Callable[[], bool], seconds: float = STEP_SECONDS) -> bool:
    """Wait until `look` returns true. Return False if it does not in time."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _has_inputs(field: Field, name: str) -> bool:
    status, seen = field.workers[name].get("/services") or (0, {})
    return status == 200 and bool(seen["inputs"])


def _is_stopped(field: Field, name: str) -> bool:
    stat = Path(f"/proc/{field.workers[name].process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"
