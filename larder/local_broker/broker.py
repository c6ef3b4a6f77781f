"""Starts, reuses and stops one local broker in one directory.

All state is in the directory, where a later process finds it. The broker runs in a session of its own, so that Ctrl-C
in the terminal reaches only the workers, and the broker runs until its owner stops it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING

from larder.config.connection import Connection
from larder.config.errors import NO_ROOM, MistakeError, UnavailableError, no_room
from larder.config.settings import load_settings
from larder.declaring.problems import Problem
from larder.kafka.broker_probe import answers_now
from larder.local_broker.failures import cause_of_death, log_tail, port_in_use, silent
from larder.local_broker.jars import fetched_jars
from larder.local_broker.java import java_command, java_runtime, no_java
from larder.local_broker.occupancy import Running, enter, is_occupied, occupy, running
from larder.local_broker.ports import free_port, is_free
from larder.local_broker.properties import LOOPBACK, Listener, Node, rendered, server_properties
from larder.local_broker.storage import cluster_of, format_storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Seconds. On an idle machine a start takes 3 to 5, and a stop less than 2.
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
STEP_SECONDS = 0.05


class LocalBroker:
    """A Kafka broker (KRaft, one process, loopback only) with its data and its log in `directory`."""

    def __init__(  # noqa: PLR0913 - each is something that a test or a user sets
        self,
        directory: Path,
        port: int = 0,
        *,
        listeners: Sequence[Listener] = (),
        properties: Mapping[str, str] | None = None,
        node_id: int = 1,
        joins: LocalBroker | None = None,
        cache: Path | None = None,
    ) -> None:
        """Describe the broker without starting it.

        `port` 0 takes a free one. `properties` override those of `larder.local_broker.properties`. With `joins` this is
        another broker of that broker's cluster, and needs a `node_id` of its own.
        """
        self.directory = directory.absolute()
        self.port = port
        self.controller_port = 0
        self._listeners = tuple(listeners)
        self._properties = dict(properties or {})
        self._node_id = node_id
        self._joins = joins
        self._cache = cache or load_settings().settings.cache
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, once started."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def controller(self) -> str:
        """The address of this broker's controller, in the form of `controller.quorum.voters`."""
        return f"{self._node_id}@{LOOPBACK}:{self.controller_port}"

    @property
    def log(self) -> Path:
        """The warnings and errors of the broker since its last start."""
        return self.directory / "broker.log"

    @property
    def running(self) -> Running | None:
        """The broker's process, whichever process started it."""
        return running(self.directory)

    def start(self) -> bool:
        """Start a broker, or reuse the one that runs in the directory; return whether this call started it.

        Returns before the broker answers: see `wait_ready`. Raises `UnavailableError` (no network for the jars, no
        disk space, no Java, port in use), and `MistakeError` if the running one has another port.
        """
        try:
            return self._start_or_reuse()
        except OSError as error:
            if error.errno in NO_ROOM:
                raise no_room(self.directory) from error
            raise

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the broker answers a Metadata request.

        Raises `UnavailableError`, with the end of the broker's log, if it ends first or stays silent for `seconds`.
        """
        deadline = time.monotonic() + seconds
        connection = Connection(self.bootstrap)
        while not answers_now(connection):
            if not is_occupied(self.directory):
                raise self.death()
            if time.monotonic() > deadline:
                raise silent(self.bootstrap, seconds, log_tail(self.log))
            time.sleep(STEP_SECONDS)

    def death(self) -> UnavailableError:
        """Return the error for a broker that exited by itself, with the cause from its log."""
        return cause_of_death(self.directory, self.port, log_tail(self.log))

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Stop the broker that runs in the directory, by force after `seconds`; return whether one was running."""
        found = self.running
        if not found:
            return False
        if not self._ended(found.pid, signal.SIGTERM, seconds):
            self._ended(found.pid, signal.SIGKILL, seconds)
        return True

    def kill(self) -> None:
        """Kill the broker as a power cut would, for tests."""
        if found := self.running:
            self._ended(found.pid, signal.SIGKILL, STOP_SECONDS)

    def _start_or_reuse(self) -> bool:
        java_runtime()  # fail before 43 MB are fetched
        jars = fetched_jars(self._cache)
        deadline = time.monotonic() + READY_SECONDS
        while (file := occupy(self.directory)) is None:
            if found := self.running:
                self._reuse(found)
                return False
            if time.monotonic() > deadline:
                raise silent(str(self.directory), READY_SECONDS, log_tail(self.log))
        with file:
            self._start(jars, file)
        return True

    def _reuse(self, found: Running) -> None:
        if self.port not in {0, found.port}:
            problem = Problem(
                f"local broker in {self.directory}",
                f"requires port {self.port}",
                f"one that runs already, on port {found.port}",
                "use that port, or stop it first (larder broker stop)",
            )
            raise MistakeError(problem)
        self.port, self.controller_port = found.port, found.controller_port

    def _start(self, jars: Sequence[Path], file: IO[str]) -> None:
        if self.port and not is_free(self.port):
            raise port_in_use(self.port)
        self.port = self.port or free_port()
        self.controller_port = free_port(but=self.port)
        node = Node(
            self.directory,
            self.port,
            self.controller_port,
            self._node_id,
            self._joins.controller if self._joins else "",
            self._listeners,
            self._properties,
        )
        configuration = self.directory / "server.properties"
        configuration.write_text(rendered(server_properties(node)), encoding="utf-8")
        if not cluster_of(node.data):
            format_storage(jars, configuration, cluster_of(self._joins.directory / "data") if self._joins else "")
        self._spawn(java_command(jars, "kafka.Kafka", str(configuration)), file)

    def _spawn(self, command: Sequence[str], file: IO[str]) -> None:
        with self.log.open("wb") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.directory,
                    pass_fds=[file.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise no_java(command[0], str(error)) from error
        enter(file, Running(self._process.pid, self.port, self.controller_port))

    def _ended(self, pid: int, sent: signal.Signals, seconds: float) -> bool:
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + seconds
        while is_occupied(self.directory):
            if time.monotonic() > deadline:
                return False
            time.sleep(STEP_SECONDS)
        if self._process:
            self._process.wait()
            self._process = None
        return True
