"""`larder request` sends requests to real workers, and goes on while they are restarted."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.reservations import MODULE
from tests.cluster.test_requests import ONCE
from tests.support.workers import Worker, larder, none_left, running

KEY = ONCE["Idempotency-Key"]
RING = '{"item": "ring", "reservation": "r"}'


class Project:
    """A worker, and commands in its directory."""

    def __init__(self, kafka: str, directory: Path, prefix: str) -> None:
        self.kafka, self.directory, self.prefix = kafka, directory, prefix
        self.module = MODULE.replace("{prefix}", prefix)
        self.worker = Worker(kafka, directory, self.module, prefix)

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return larder(*arguments, kafka=self.kafka, directory=self.directory, module=self.module, stdin=stdin)


@pytest.fixture
def project(kafka: str, tmp_path: Path, prefix: str) -> Iterator[Project]:
    project = Project(kafka, tmp_path, prefix)
    with running(project.worker):
        project.worker.until_caught_up()
        yield project


def test_a_request_is_sent_shown_counted_and_listed(project: Project) -> None:
    first = project("request", "POST /reservations", RING, "--once", KEY)
    assert (first.returncode, json.loads(first.stdout)["reserved"]) == (0, 1), first.stderr
    assert f"{project.prefix}.stock, key ring, partition " in first.stderr
    again = project("request", "POST /reservations", "-", "--once", KEY, "--json", stdin=RING)
    assert (again.returncode, json.loads(again.stdout)["row"]["reserved"]) == (0, 1)

    much = project("request", "POST /reservations", '{"item": "ring", "reservation": "r", "amount": 10}')
    assert (much.returncode, much.stdout) == (1, "")
    assert "is refused; found 10 there are, 1 are reserved" in much.stderr
    wrong = project("request", "POST /reservations", '{"item": "ring"}', "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)["type"]) == (1, "urn:larder:invalid")
    made = project("request", "POST /reservations", '{"reservation": "r"}', "--json")
    assert re.fullmatch("[0-9a-f-]{36}", json.loads(made.stdout)["row"]["item"])
    gone = project("request", "POST /reservations/ring/release")
    assert (gone.returncode, gone.stdout) == (0, "null\n")
    mistyped = project("request", "POST /reservation", RING)
    assert (mistyped.returncode, "did you mean POST /reservations?" in mistyped.stderr) == (2, True)

    _, status = project.worker.get("/services") or (0, {})
    reserve, release, _ = status["operators"]
    assert {each: reserve[each] for each in ("kind", "name", "state", "into")} == {
        "kind": "request",
        "name": "POST /reservations",
        "state": f"{project.prefix}.stock",
        "into": [f"{project.prefix}.reserved"],
    }
    counts = {"decided": 3, "rows": 2, "emitted": 2, "refused": 1, "repeated": 1, "failed": 0}
    assert (reserve["counts"], release["counts"]["decided"]) == (counts, 1)
    metric = "larder_operator_records_total", "request", "POST /reservations"
    assert project.worker.metrics()[*metric, "repeated"] == 1

    page = project.worker.page("/")
    assert "<code>POST /reservations/{item}/release</code>" in page
    assert "larder request &#39;POST /reservations/ITEM/release&#39;" in page
    lines = project("services").stdout.splitlines()
    assert f"  request POST /reservations changes {project.prefix}.stock into {project.prefix}.reserved" in lines
    assert f"  table   {project.prefix}.stock (co-partitioned): caught up, lag 0" in lines
    (counted,) = [each.split() for each in project("joins").stdout.splitlines() if "/reservations " in each]
    assert counted == ["POST", "/reservations", "one", "3", "2", "2", "1", "1", "0"]

    _, described = project.worker.get("/openapi.json") or (0, {})
    assert {"/reservations", "/reservations/{item}/release"} <= described["paths"].keys()
    assert project.worker.stop() == 0


@pytest.mark.parametrize("step", ["delivery.sent", "delivery.committed"])
def test_a_request_counts_once_if_its_worker_is_killed_before_it_answers(
    kafka: str, tmp_path: Path, prefix: str, step: str
) -> None:
    project = Project(kafka, tmp_path, prefix)
    worker = project.worker
    with none_left(worker), ThreadPoolExecutor(1) as clients:
        worker.start(dying_at=f"{step}:1").until_caught_up()
        sent = clients.submit(project, "request", "POST /reservations", RING, "--once", KEY)
        worker.exit_code()
        worker.start()
        ended = sent.result()
        again = project("request", "POST /reservations", RING, "--once", KEY)
    assert (ended.returncode, json.loads(ended.stdout)["reserved"]) == (0, 1), ended.stderr
    assert f"trying again with the same Idempotency-Key, {KEY}" in ended.stderr
    assert again.stdout == ended.stdout


def test_without_a_worker_the_command_names_the_service_to_start(kafka: str, tmp_path: Path, prefix: str) -> None:
    ended = Project(kafka, tmp_path, prefix)("request", "POST /reservations", RING)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.endswith(
        f"requires a worker that takes it; found none here; start one: larder worker {prefix}\n"
    )
