"""The faults, each a small function: it begins, it ends, and leaves all workers running and all ways open."""

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
from tests.faults.plan import WORKERS, Fault

STEP_SECONDS = 8.0
"""For a worker to start and to reach a step, or to have partitions; one that does not goes on."""

DISK_SECONDS = 5.0
"""For a worker to notice that its disk is full: it writes rows all the time."""

FULL_BYTES = 4096

FENCE_SECONDS = 1.0
"""For a broker that is there to fence a producer."""


async def kill(field: Field, fault: Fault) -> None:
    """kill -9; the worker is started again after a while."""
    await field.kill(fault.worker)
    await asyncio.sleep(fault.seconds)
    field.start(fault.worker)


async def lost_disk(field: Field, fault: Fault) -> None:
    """kill -9, and the worker's stores are gone: it begins anew."""
    await field.kill(fault.worker)
    shutil.rmtree(field.workers[fault.worker].tables, ignore_errors=True)
    await asyncio.sleep(fault.seconds)
    field.start(fault.worker)


async def fence(field: Field, fault: Fault) -> None:
    """Again and again somebody ends the worker's transaction, and its producer may do nothing more."""
    until = time.monotonic() + fault.seconds
    while time.monotonic() < until:
        producer = AIOKafkaProducer(
            bootstrap_servers=field.rig.kafka, transactional_id=f"{field.prefix}.{fault.worker}"
        )
        try:
            async with asyncio.timeout(FENCE_SECONDS):
                await producer.start()
        except (KafkaError, TimeoutError):
            field.history.note("the broker is away, nobody is fenced")
        finally:
            await producer.stop()
        await asyncio.sleep(FENCE_SECONDS / 2)


async def changed_type(field: Field, fault: Fault) -> None:
    """All workers come back with a version that cannot read the rows of their states, then with that of before.

    One alone would seldom have a partition with rows.
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
    """The worker dies between two steps of its own, some time after a restart."""
    await field.kill(fault.worker)
    field.start(fault.worker, fault.step)
    if await _until(lambda: not field.look(fault.worker)):
        field.history.note(f"worker {fault.worker} died at {fault.step}")
    field.start(fault.worker)


async def pause(field: Field, fault: Fault) -> None:
    """SIGSTOP, then SIGCONT."""
    await field.pause(fault.worker, fault.seconds)


async def pause_at_step(field: Field, fault: Fault) -> None:
    """SIGSTOP between two steps, as in the middle of a transaction, then SIGCONT."""
    await field.kill(fault.worker)
    field.start(fault.worker, f"{fault.step}:SIGSTOP")
    if await _until(lambda: not field.look(fault.worker) or _is_stopped(field, fault.worker)):
        field.history.note(f"worker {fault.worker} stopped at {fault.step}")
        if field.look(fault.worker):
            await field.asleep(fault.worker, fault.seconds)
    else:
        # It must not stop later, when nobody continues it.
        await field.kill(fault.worker)
        field.start(fault.worker)


async def kill_broker(field: Field, fault: Fault) -> None:
    """The broker is gone for some seconds."""
    async with field.rig.broker_turn:
        await field.rig.kill_broker()
        await asyncio.sleep(fault.seconds)
        await field.rig.start_broker()


async def pause_broker(field: Field, fault: Fault) -> None:
    """The broker keeps its connections, and answers nothing."""
    async with field.rig.broker_turn:
        running, since = field.rig.broker.running, time.time()
        if running is not None:
            os.kill(running.pid, signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            os.kill(running.pid, signal.SIGCONT)
            field.history.held_up.append((since, time.time()))


async def cut(field: Field, fault: Fault) -> None:
    """The worker's connections end, and new ones are refused."""
    field.rig.proxies[fault.worker].set("cut")
    await asyncio.sleep(fault.seconds)
    field.rig.proxies[fault.worker].set("open")


async def hold(field: Field, fault: Fault) -> None:
    """Nothing gets through to the worker or from it, for a while; then everything does."""
    since = time.time()
    field.rig.proxies[fault.worker].set("held")
    await asyncio.sleep(fault.seconds)
    field.rig.proxies[fault.worker].set("open")
    field.history.held_up.append((since, time.time()))


async def slow(field: Field, fault: Fault) -> None:
    """Whatever the worker sends or gets is late."""
    since = time.time()
    field.rig.proxies[fault.worker].set("open", fault.seconds / 20)
    await asyncio.sleep(fault.seconds)
    field.rig.proxies[fault.worker].set("open")
    field.history.held_up.append((since, time.time()))


async def full_disk(field: Field, fault: Fault) -> None:
    """No file of the worker may grow any more: it says so, and ends with its own code; then there is room again."""
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
    """Each worker is told to stop, and started again once it has."""
    for name in WORKERS:
        await field.stop(name)
        field.start(name)
        await _until(lambda name=name: (field.workers[name].get("/services") or [0])[0] == 200)


async def fourth(field: Field, fault: Fault) -> None:
    """A fourth worker comes, and goes: in good order, or not."""
    field.start("four")
    await asyncio.sleep(2 + fault.seconds)
    await (field.kill("four") if fault.worker == "one" else field.stop("four"))


async def compaction(field: Field, _: Fault) -> None:
    """From now on the compacted topics keep little more than the last record of each key."""
    await compact_soon(field.rig.kafka, field.prefix, field.owned)


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
}


async def run(field: Field, fault: Fault) -> None:
    """Wait for its time, and do it."""
    await asyncio.sleep(fault.at)
    field.history.note(f"fault {fault}")
    await FAULTS[fault.name](field, fault)
    field.history.note(f"end of {fault.name} {fault.worker}")


async def _until(look: Callable[[], bool], seconds: float = STEP_SECONDS) -> bool:
    """Look again and again; False when the time is over."""
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
