"""The field of one seed: its topics, its workers and their history. Faults act on it."""

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
from tests.support.workers import COMMAND, ROOT, Worker

LOOKING = Path(__file__).parent / "looking"

STOP_SECONDS = 20.0
"""A worker stops within ten seconds. This allows for a loaded machine."""


COMMAND_SECONDS = 60.0
"""Time for a command, which waits for a broker that is away."""

NO_ROOM = 3
"""The exit code of a worker whose disk is full."""


class Field:
    """Workers by name, each behind its proxy. `without_room` are the processes whose disk was full."""

    def __init__(self, rig: Rig, plan: Plan, prefix: str, directory: Path, module: str, owned: Collection[str]) -> None:
        """Take as `owned` the topics of the service that are judged record by record."""
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
        """The workers with a running process."""
        return [name for name, worker in self.workers.items() if worker._process is not None and worker.alive()]

    def ended(self) -> bool:
        """Whether a worker has ended without a fault, which is a violation."""
        for name in self.workers:
            self.look(name)
        return bool(self.history.violations)

    def start(self, name: str, dying_at: str = "", *, changed: bool = False) -> None:
        """Start a worker unless it runs; `dying_at` as for `Worker.start`.

        With `changed`, the row type of its states has an additional required field.
        """
        if name in self.running():
            return
        since = time.time()
        self.workers[name].environment.pop("CHANGED_TYPE", None)
        if changed:
            self.workers[name].environment["CHANGED_TYPE"] = "1"
        self.history.begun(self.workers[name].start(dying_at).process.pid, since, name)

    def look(self, name: str) -> bool:
        """Return whether a worker runs. Record a violation if it ended by itself without reporting a full disk."""
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
        """Ask a worker to stop, and kill it if it does not."""
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
            code = 0  # it was not yet running as a worker
        if code and not self._had_no_room(process, code):
            self.history.violations.append(Violation("ended", f"worker {name} was asked to stop, ended with {code}"))
        _forget(worker, process)

    async def pause(self, name: str, seconds: float) -> None:
        """Stop the process for `seconds`, as if the machine had stalled."""
        if not self.look(name):
            return
        self.workers[name].signal(signal.SIGSTOP)
        self.history.note(f"worker {name} paused")
        await self.asleep(name, seconds)

    async def asleep(self, name: str, seconds: float) -> None:
        """Leave a stopped process stopped for `seconds`, then continue it."""
        process = self.workers[name].process
        await asyncio.sleep(seconds)
        since = time.time()
        process.send_signal(signal.SIGCONT)
        self.history.note(f"worker {name} continued")
        # Half a second more than its session: the broker checks sessions by a timer of its own.
        if seconds > SESSION_SECONDS + 0.5:
            self.history.begun(process.pid, since, name)

    async def larder(self, *arguments: str) -> str:
        """Run a command of larder as an operator would; return its exit code and what it printed last."""
        worker = self.workers[NAMES[0]]
        environment = {
            **os.environ,
            **worker.environment,
            "KAFKA": self.rig.kafka,
            "LARDER_DIRECTORY": str(self.directory / "larder"),
            "LARDER_MODULES": worker.module,
        }
        running = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, cwd=self.directory, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                said, _ = await running.communicate()
        except TimeoutError:
            running.kill()
            said, _ = await running.communicate()
        return f"{running.returncode} {(said.decode().splitlines() or [''])[-1]}"

    async def tell_tasks(self) -> None:
        """Make each worker log what its tasks are waiting for."""
        for name in self.running():
            self.workers[name].signal(signal.SIGUSR1)
        await asyncio.sleep(1)

    def close(self) -> None:
        """End all processes."""
        for name in self.running():
            worker = self.workers[name]
            worker.process.send_signal(signal.SIGCONT)
            worker.kill()


def _forget(worker: Worker, process: subprocess.Popen[bytes]) -> None:
    """Forget the process, unless another fault has already started the next one."""
    if worker._process is process:
        worker._process = None
