"""Worker processes, started by the public command and observed through their log and web port."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prometheus_client.parser import text_string_to_metric_families

from tests.support.later import require_retry_after

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "larder"]
DYING = [sys.executable, "-m", "tests.support.dying_worker"]


class Worker:
    """One worker process. `directory` keeps its tables from one start to the next."""

    program: tuple[str, ...] = ("-m", "larder")

    def __init__(
        self,
        kafka: str,
        directory: Path,
        module: str,
        service: str,
        name: str = "one",
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        """Take the text of a module with declarations (written to `directory`) or the name of one as `module`."""
        self.directory = directory
        self.service = service
        self.name = name
        self._kafka = kafka
        self._module = _write(directory, module)
        self.environment = dict(environment or {})
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.log = directory / f"{service}-{name}.log"
        self.silence = "its web port is not open yet"
        self._from = 0

    def start(self, dying_at: str = "") -> Worker:
        """Start it. With `dying_at` "delivery.sent:3" it kills itself when it reaches that step for the third time.

        With "delivery.sent:3:SIGSTOP" it stops there.
        """
        self._from = self.log.stat().st_size if self.log.exists() else 0
        command = [*DYING, dying_at] if dying_at else [sys.executable, *self.program]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "worker", self.service, "--name", self.name, *self._arguments],
                cwd=self.directory,
                env=self._environ(),
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def module(self) -> str:
        """The name of the module that it runs, for commands of the same project."""
        return self._module

    @property
    def tables(self) -> Path:
        """The directory of its stores, with a directory for each table."""
        return self.directory / "larder" / "tables" / self.service / self.name

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"worker {self.name} was not started"
        return self._process

    @property
    def text(self) -> str:
        """Its log since its last start."""
        return self.log.read_bytes()[self._from :].decode() if self.log.exists() else ""

    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        process = self.process
        process.kill()
        process.wait(10)

    def until_stopped(self, timeout: float = 30) -> None:
        """Wait until a signal has stopped it."""
        deadline = time.monotonic() + timeout
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline, f"worker {self.name}: waited {timeout} s for it to stop\n{self.text}"
            time.sleep(0.01)

    def stop(self, timeout: float = 15) -> int:
        """Ask it to stop, and return its exit code; print its log if it failed."""
        self.process.terminate()
        if (code := self.process.wait(timeout)) > 0:
            print(f"worker {self.name} ended with {code}:\n{self.text[-8000:]}")  # noqa: T201 - shown if a test fails
        return code

    def lives_for(self, seconds: float) -> None:
        """Let it run for `seconds`. Fail if it ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(seconds)
            message = f"worker {self.name} ended with {code}:\n{self.text[-4000:]}"
            raise AssertionError(message)

    def exit_code(self, timeout: float = 30) -> int:
        """Wait until it ends, and return its exit code."""
        return self.process.wait(timeout)

    def until(
        self, look: Callable[[dict[str, Any]], Any], timeout: float = 30, what: str = "a state"
    ) -> dict[str, Any]:
        """Wait until `look` accepts the answer to GET /services, and return that answer."""
        deadline, status = time.monotonic() + timeout, None
        while True:
            assert self.alive(), (
                f"worker {self.name} ended with {self.process.poll()} while waiting for {what}:\n{self.text[-4000:]}"
            )
            if (answer := self.get("/services")) is not None:
                status = answer[1]
                if look(status):
                    return status
            assert time.monotonic() < deadline, (
                f"worker {self.name}: waited {timeout} s for {what}; last {status}\n{self.text[-4000:]}"
            )
            time.sleep(0.05)

    def until_running(self, timeout: float = 30) -> dict[str, Any]:
        """Wait until it has joined its group, holds its tables, and has read its inputs to their ends at the start."""
        return self.until(
            lambda status: status["phase"] == "running" and status["inputs"], timeout, "running with partitions"
        )

    def until_caught_up(self, timeout: float = 30) -> dict[str, Any]:
        """Wait until its tables and standbys are caught up and its inputs have no lag."""

        def done(status: dict[str, Any]) -> bool:
            states = [each for table in status["tables"] for each in table["partitions"]]
            return (
                status["phase"] == "running"
                and all(table["partitions"] for table in status["tables"])
                and all(each["phase"] in {"caught_up", "standby"} and each["lag"] == 0 for each in states)
                and all(each["lag"] == 0 for each in status["inputs"])
            )

        return self.until(done, timeout, "tables caught up and inputs without lag")

    def until_shared(self, partitions: int, timeout: float = 30) -> dict[str, Any]:
        """Wait until it processes that many partitions of its inputs, and holds their tables."""
        return self.until(
            lambda status: (
                status["phase"] == "running"
                and len(status["inputs"]) == partitions
                and all(each["phase"] == "caught_up" for table in status["tables"] for each in table["partitions"])
            ),
            timeout,
            f"{partitions} partitions of its inputs",
        )

    def until_disconnected(self, timeout: float = 30) -> dict[str, Any]:
        """Wait until all partitions of its tables have noticed the loss of the broker."""
        return self.until(
            lambda status: all(
                each["phase"] == "disconnected" for table in status["tables"] for each in table["partitions"]
            ),
            timeout,
            "partitions that are all disconnected",
        )

    def until_logged(self, pattern: str, timeout: float = 30) -> str:
        """Wait for a line of its log, and return it."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, (
                f"worker {self.name}: waited {timeout} s for {pattern!r} in:\n{self.text[-4000:]}"
            )
            time.sleep(0.05)
        return found.group(0)

    def row(self, table: str, key: str) -> tuple[int, dict[str, Any]]:
        """Return status and body of GET /tables/{table}/rows/{key}; status 0 and a cause if it does not answer."""
        return self.get(f"/tables/{table}/rows/{quote(key, safe='')}") or (0, {"cause": self.silence})

    def page(self, path: str) -> str:
        """Return the page at `path`. Fail if its web port is closed."""
        port = re.findall(r"answers at http://127\.0\.0\.1:(\d+)", self.text)[-1]
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": "text/html"})
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - the address is loopback
            return str(answer.read().decode())

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return its metrics by name and labels, in alphabetical order of the labels."""
        (*_, port) = re.findall(r"answers at http://127\.0\.0\.1:(\d+)", self.text)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, Any]] | None:
        """Return status and body; None if its web port is closed."""
        port = re.findall(r"answers at http://127\.0\.0\.1:(\d+)", self.text)
        if not port:
            return None
        asked = urllib.request.Request(f"http://127.0.0.1:{port[-1]}{path}", method=method)
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - the address is loopback
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            require_retry_after(error.code, dict(error.headers))
            return error.code, json.load(error)
        except OSError as error:
            self.silence = repr(error)
            return None

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Send a request that changes a row; return status and body, status 0 and a cause if there is no answer."""
        return self.posted(path, body, headers)[:2]

    def web_port(self) -> int:
        """Return the port of its web port, as its log says."""
        return int(re.findall(r"answers at http://127\.0\.0\.1:(\d+)", self.text)[-1])

    def posted(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Send a request as `post` does; return the headers of the answer as well."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.web_port()}{path}",
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
            method="POST",
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - the address is loopback
                return answer.status, json.load(answer), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), dict(error.headers)
        except OSError as error:
            return 0, {"cause": repr(error)}, {}

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "KAFKA": self._kafka,
            "LARDER_MODULES": self._module,
            "LARDER_DIRECTORY": str(self.directory / "larder"),
            "LARDER_SESSION_TIMEOUT_S": "1.5",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }


def until_read(workers: Sequence[Worker], topic: str, ends: Mapping[int, int], timeout: float = 30) -> None:
    """Wait until the workers together have applied a topic up to `ends`, or processed and committed it."""
    unread = dict(ends)

    def read(worker: Worker) -> bool:
        _, status = worker.get("/services") or (0, {"tables": [], "inputs": []})
        tables = [each for table in status["tables"] if table["table"] == topic for each in table["partitions"]]
        for each in [*tables, *(each for each in status["inputs"] if each["topic"] == topic)]:
            if each["position"] >= unread.get(each["partition"], 0):
                unread.pop(each["partition"], None)
        return not unread

    deadline = time.monotonic() + timeout
    while not any(read(worker) for worker in workers):
        logs = "\n".join(worker.text[-2000:] for worker in workers)
        assert time.monotonic() < deadline, f"waited {timeout} s for {topic} to be read to {unread}:\n{logs}"
        time.sleep(0.05)


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    """Start workers, and end them all after the block, whatever happens."""
    with none_left(*workers):
        for worker in workers:
            worker.start()
        yield


@contextmanager
def none_left(*workers: Worker) -> Iterator[None]:
    """End all these workers after the block, whatever happens."""
    try:
        yield
    finally:
        for worker in workers:
            if worker._process is not None and worker.alive():
                worker.process.send_signal(signal.SIGCONT)
                worker.process.kill()
                worker.process.wait(10)


def larder(
    *arguments: str,
    kafka: str,
    directory: Path,
    module: str = "",
    timeout: float = 60,
    stdin: str = "",
    guarantee: str = "exactly_once",
) -> subprocess.CompletedProcess[str]:
    """Run a command of larder to its end."""
    environment = {**os.environ, "KAFKA": kafka, "LARDER_DIRECTORY": str(directory / "larder"), "PYTHONPATH": str(ROOT)}
    environment["LARDER_GUARANTEE"] = guarantee
    if module:
        environment["LARDER_MODULES"] = _write(directory, module)
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        input=stdin,
    )


def _write(directory: Path, module: str) -> str:
    """Write the text of a module, and return its name. Return a name unchanged."""
    if "\n" not in module:
        return module
    text = textwrap.dedent(module)
    name = f"declared_{abs(hash(text)):x}"
    (directory / f"{name}.py").write_text(text)
    return name
