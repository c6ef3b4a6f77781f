"""One seed's field: its topics, its workers, and what happened to them. Faults act on it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from larder.local_broker.ports import free_port
from tests.faults.history import History, Violation
from tests.faults.plan import SESSION_SECONDS, Plan
from tests.faults.rig import NAMES, Rig
from tests.support.workers import ROOT, Worker

LOOKING = Path(__file__).parent / "looking"

STOP_SECONDS = 20.0
"""A worker stops within ten seconds; the machine may be loaded."""


NO_ROOM = 3
"""The code with which a worker ends whose disk is full."""


class Field:
    """Workers by name, each behind its proxy; `without_room` are the processes whose disk was full."""

    def __init__(self, rig: Rig, plan: Plan, prefix: str, directory: Path, module: str, owned: Collection[str]) -> None:
        """`owned` are the topics that the service owns and that are judged record by record."""
        self.owned = owned
        self.rig = rig
        self.plan = plan
        self.prefix = prefix
        self.directory = directory
        self.history = History()
        self.without_room: set[int] = set()
        self.ports = {name: free_port() for name in NAMES}
        self.workers = {
            name: Worker(
                rig.address(name),
                directory,
                module,
                prefix,
                name,
                {
                    "LARDER_WEB_PORT": str(self.ports[name]),
                    "LARDER_SESSION_TIMEOUT_S": str(SESSION_SECONDS),
                    "LARDER_STANDBY": str(int(plan.standby)),
                    "PYTHONPATH": f"{LOOKING}{os.pathsep}{ROOT}",
                },
            )
            for name in NAMES
        }

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def running(self) -> list[str]:
        """The workers whose process lives."""
        return [name for name, worker in self.workers.items() if worker._process is not None and worker.alive()]

    def ended(self) -> bool:
        """Whether a worker has ended by itself, which breaks a promise."""
        for name in self.workers:
            self.look(name)
        return bool(self.history.violations)

    def start(self, name: str, dying_at: str = "", *, changed: bool = False) -> None:
        """Start a worker, unless it runs; `dying_at` as for `Worker.start`.

        `changed`: with states whose row type has a required field more.
        """
        if name in self.running():
            return
        since = time.time()
        self.workers[name].environment.pop("CHANGED_TYPE", None)
        if changed:
            self.workers[name].environment["CHANGED_TYPE"] = "1"
        self.history.begun(self.workers[name].start(dying_at).process.pid, since, name)

    def look(self, name: str) -> bool:
        """Whether a worker runs; one that has ended by itself breaks a promise, unless it had no room, and said so."""
        worker = self.workers[name]
        if worker._process is None or worker.alive():
            return worker._process is not None
        code = worker.process.poll()
        if code != -signal.SIGKILL and not self._had_no_room(worker.process, code):
            last = " | ".join(worker.text.splitlines()[-3:])
            self.history.violations.append(Violation("ended", f"worker {name} ended with {code}: {last}"))
        worker._process = None
        return False

    def _had_no_room(self, process: subprocess.Popen[bytes], code: int | None) -> bool:
        return code == NO_ROOM and process.pid in self.without_room

    async def kill(self, name: str) -> None:
        if not self.look(name):
            return
        self.history.note(f"worker {name} killed")
        worker, process = self.workers[name], self.workers[name].process
        await asyncio.to_thread(worker.kill)
        _forget(worker, process)

    async def stop(self, name: str) -> None:
        """Ask a worker to stop, and see to it that it does."""
        if not self.look(name):
            return
        worker, since = self.workers[name], time.time()
        process = worker.process
        try:
            code = await asyncio.to_thread(worker.stop, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            what = f"worker {name} did not stop in {STOP_SECONDS:.0f} s"
            self.history.violations.append(Violation("hangs", what))
            await self.kill(name)
            return
        self.history.note(f"worker {name} stopped with {code} after {time.time() - since:.1f} s")
        if code == -signal.SIGTERM and not worker.text:
            code = 0  # it had not yet begun to be a worker
        if code and not self._had_no_room(process, code):
            self.history.violations.append(Violation("ended", f"worker {name} was told to stop, and ended with {code}"))
        _forget(worker, process)

    async def pause(self, name: str, seconds: float) -> None:
        """Stop the process for so long, as if the machine had."""
        if not self.look(name):
            return
        self.workers[name].signal(signal.SIGSTOP)
        self.history.note(f"worker {name} paused")
        await self.asleep(name, seconds)

    async def asleep(self, name: str, seconds: float) -> None:
        """Let a process that is stopped be so for `seconds`, then continue it."""
        process = self.workers[name].process
        await asyncio.sleep(seconds)
        since = time.time()
        process.send_signal(signal.SIGCONT)
        self.history.note(f"worker {name} continued")
        # Half a second more than its session: the broker looks at sessions with a timer of its own.
        if seconds > SESSION_SECONDS + 0.5:
            self.history.begun(process.pid, since, name)

    async def tell_tasks(self) -> None:
        """Have each worker write to its log what its tasks wait for."""
        for name in self.running():
            self.workers[name].signal(signal.SIGUSR1)
        await asyncio.sleep(1)

    def close(self) -> None:
        """No process is left."""
        for name in self.running():
            worker = self.workers[name]
            worker.process.send_signal(signal.SIGCONT)
            worker.kill()


def _forget(worker: Worker, process: subprocess.Popen[bytes]) -> None:
    """Another fault may have started the next one already."""
    if worker._process is process:
        worker._process = None
