"""`larder demo` as a user starts it: with its own broker, first from nothing, then from the data of the first run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from larder.template.writing import write_project
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
# Seconds, on a machine that runs other tests as well. `make demo` takes 15 if it need not download anything.
FIRST_JOINED = 45.0
END = 30.0
NEW_ORDER = {"order_id": "web-1", "customer_id": "c00001", "product_id": "p001", "quantity": 2}


class Demo:
    """The demo of the shop, in its own directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = write_project("shop", directory)
        kept = {name: value for name, value in os.environ.items() if name != "KAFKA" and "LARDER_" not in name}
        self.environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._larder("demo", "--joins-only", *arguments)

    def json(self, *arguments: str) -> dict[str, Any]:
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found

    def start(self, *arguments: str, joins_only: bool = True) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "larder", "demo", *(["--joins-only"] if joins_only else []), *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def until_joined(self) -> str:
        """Wait until it suggests a row to look up, and return the arguments of that command."""
        return self.until_said("look up a row").partition("-m larder ")[2].strip()

    def until_said(self, text: str) -> str:
        """Wait until it prints a line with this text, and return the line."""
        assert self.process is not None
        assert self.process.stdout is not None
        printed = []
        for line in self.process.stdout:
            printed.append(line)
            if text in line:
                return line
        pytest.fail(f"the demo ended with {self.process.wait()}: {''.join(printed)}")

    def ask(self, command: str) -> subprocess.CompletedProcess[str]:
        return self._larder(*command.split())

    def workers(self) -> dict[str, int]:
        files = (self.directory / ".larder" / "workers").glob("*/*.json")
        return {each.stem: json.loads(each.read_text())["pid"] for each in files}

    def leave_nothing(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(END)
        self._larder("broker", "stop")

    def _larder(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "larder", *arguments]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=100, check=False
        )


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    demo.leave_nothing()


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_demo_joins_orders_from_nothing_and_reports_one_line_of_json(demo: Demo) -> None:
    found = demo.json("--for", "10s")
    assert found["workers"] == 3
    assert 0 < found["seconds_to_first_joined"] < FIRST_JOINED
    assert found["orders"] > 10 * 100
    # All except those still waiting for their customer.
    assert found["enriched"] == found["orders"] - found["waiting"]
    assert found["fulfilled"] == found["orders"]
    assert found["missing"] > found["waiting"] > 0
    assert found["per_second"] > 0


def test_the_next_demo_continues_from_the_last_and_ctrl_c_ends_it_within_seconds(demo: Demo) -> None:
    demo.json("--for", "2s")
    assert demo.workers() == {}
    between = time.time() * 1000
    process = demo.start("--rate", "50")
    command = demo.until_joined()
    row = demo.ask(f"{command} --json")
    assert row.returncode == 0, row.stderr
    assert json.loads(row.stdout)["key"] == command.split()[-1]
    customers = [json.loads(demo.ask(f"get shop.customers c{number:05d} --json").stdout) for number in range(1, 6)]
    assert min(each["timestamp"] for each in customers) < between
    second = demo.run()
    assert (second.returncode, "requires workers of its own" in second.stderr) == (2, True)
    workers = demo.workers()
    assert set(workers) == {"shipping-1", "shipping-2", "fulfilment-1"}
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=END)
    assert process.returncode == 0, output
    assert time.monotonic() - asked < 15
    assert "stopping the workers\nthe broker is stopped\n" in output
    assert not any(map(_is_running, workers.values()))
    assert "no local broker is running" in demo.ask("broker status").stdout


def test_a_dead_worker_is_reported_with_the_end_of_its_log(demo: Demo) -> None:
    process = demo.start()
    demo.until_joined()
    workers = demo.workers()
    os.kill(workers["shipping-2"], signal.SIGKILL)
    output, _ = process.communicate(timeout=END)
    assert process.returncode == 1
    assert "larder: worker shipping-2: must run until it is stopped" in output
    assert "found death by SIGKILL" in output
    assert (demo.directory / ".larder" / "demo" / "shipping-2.log").read_text().splitlines()[-1] in output
    assert not any(map(_is_running, workers.values()))


def test_an_order_of_a_person_passes_through_the_services_beside_the_joins(demo: Demo) -> None:
    process = demo.start(joins_only=False)
    url = demo.until_said("place an order, and watch it").split()[-1]
    placed = eventually(lambda: _send(f"{url}orders", NEW_ORDER), lambda status: status in {201, 409}, 90)
    assert placed == 201
    eventually(
        lambda: _shop(url),
        lambda shop: not shop["away"] and bool(shop["orders"][0]) and shop["orders"][0]["state"] == "shipped",
        60,
    )
    second = demo.run()
    assert (second.returncode, "requires workers of its own" in second.stderr) == (2, True)
    workers = demo.workers()
    assert {"orders-1", "stock-1", "pricing-1", "shipping-1"} < set(workers)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=END)
    assert process.returncode == 0, output
    assert not any(map(_is_running, workers.values()))
    with pytest.raises(OSError, match="refused"):
        _shop(url)


def test_a_stop_while_more_services_start_leaves_nothing_behind(demo: Demo) -> None:
    process = demo.start(joins_only=False)
    demo.until_joined()
    time.sleep(0.3)  # not for a state: any moment of the start will do
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=2 * END)
    assert process.returncode == 0, output
    assert demo.workers() == {}


def _send(url: str, body: dict[str, Any]) -> int:
    """Send JSON, and return the status; 0 without an answer."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": "an-order-of-the-demo"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(asked, timeout=15) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _shop(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}shop?order=web-1", timeout=15) as answer:  # noqa: S310 - loopback
        found: dict[str, Any] = json.load(answer)
        return found


def test_an_immediate_stop_leaves_nothing_behind(demo: Demo) -> None:
    process = demo.start()
    assert process.stdout is not None
    assert "starting a Kafka broker" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=2 * END)
    assert "no local broker is running" in demo.ask("broker status").stdout
    assert demo.workers() == {}


@pytest.mark.parametrize("given", ["soon", "0s", "-1", "1w"])
def test_an_invalid_duration_is_a_mistake(demo: Demo, given: str) -> None:
    ended = demo.run(f"--for={given}")
    assert (ended.returncode, "is not a duration above zero, such as 30s" in ended.stderr) == (2, True)


def test_fresh_does_not_remove_topics_of_another_broker(demo: Demo) -> None:
    demo.environment["KAFKA"] = "127.0.0.1:1"
    ended = demo.run("--fresh")
    assert (ended.returncode, "whose topics Larder must not remove" in ended.stderr) == (2, True)
