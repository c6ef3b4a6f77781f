"""A worker raises its limit of open files at its start, and reports a limit that is too low."""

from __future__ import annotations

import resource
import subprocess
import sys
from resource import RLIM_INFINITY
from typing import TYPE_CHECKING

import pytest

from larder.process.open_files import ENOUGH, LEAST, clients, raised, shortage
from larder.web.connection_slots import CONNECTIONS, KEPT_FREE
from tests.cluster.stocks import STOCK
from tests.support.workers import Worker, running

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1_024, 4_096, 4_096),
        (1_024, 1_048_576, ENOUGH),
        (1_024, RLIM_INFINITY, ENOUGH),
        (1_048_576, 1_048_576, 1_048_576),
        (RLIM_INFINITY, RLIM_INFINITY, RLIM_INFINITY),
        (256, 256, 256),
    ],
)
def test_the_soft_limit_rises_as_far_as_allowed_and_needed(soft: int, hard: int, expected: int) -> None:
    assert raised(soft, hard) == expected


@pytest.mark.parametrize("allowed", [LEAST, ENOUGH, RLIM_INFINITY])
def test_all_clients_can_connect_where_enough_files_are_allowed(allowed: int) -> None:
    assert clients(allowed) == CONNECTIONS
    assert shortage(allowed) is None


@pytest.mark.parametrize("allowed", [64, 256, 1_024, LEAST - 1])
def test_clients_leave_most_files_to_the_stores_where_few_are_allowed(allowed: int) -> None:
    assert 1 <= clients(allowed) <= max(1, allowed // 4 - KEPT_FREE)
    assert str(shortage(allowed)).startswith(
        f"open files: requires a limit of 4,096 for the files of all tables and 1,000 clients; found {allowed:,}, "
    )


STARTED = """
import resource, sys
from larder.process.open_files import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(raise_limit())
"""


@pytest.mark.parametrize(("soft", "hard", "allowed"), [(1_024, 5_000, 5_000), (1_024, 1_024, 1_024)])
def test_a_process_raises_its_own_limit(soft: int, hard: int, allowed: int) -> None:
    command = [sys.executable, "-c", STARTED, str(soft), str(hard)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(ended.stdout) == allowed
    assert ("open files: requires a limit" in ended.stderr) == (allowed < LEAST)


def test_a_worker_raises_its_limit_before_it_answers(tmp_path: Path) -> None:
    worker = Worker("127.0.0.1:1", tmp_path, STOCK.format(prefix="shop"), "shop")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, before[1]))
    try:
        with running(worker):
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            worker.until_logged(r"answers at http://127\.0\.0\.1:\d+")
            assert resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)[0] == min(before[1], ENOUGH)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


LOW = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, 1_024))
"""


def test_a_worker_with_too_low_a_limit_of_files_stays_live_and_reports_it_everywhere(tmp_path: Path) -> None:
    worker = Worker("127.0.0.1:1", tmp_path, STOCK.format(prefix="shop") + LOW, "shop")
    with running(worker):
        worker.until_logged(r"answers at http://127\.0\.0\.1:\d+")
        status, live = worker.get("/health/live") or (0, {})
        _, ready = worker.get("/health/ready") or (0, {})
        _, services = worker.get("/services") or (0, {})
    said = str(shortage(1_024))
    assert (status, live["reasons"]) == (200, [])
    assert {"why": said} in live["besides"]
    assert {"why": said} in ready["besides"]
    assert said not in map(str, ready["reasons"])
    assert services["warnings"] == [said]
    assert said in worker.text
