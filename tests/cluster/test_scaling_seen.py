"""What a person on call sees of a service that is being scaled: at every time, on every worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.villages import Village
from tests.support.beside import Beside
from tests.support.workers import Worker, larder, running

PEOPLE = [f"c{number}" for number in range(40)]


@pytest.fixture
def village(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Village:
    return Village(kafka, prefix, beside, tmp_path)


def _reported(worker: Worker) -> dict[str, Any]:
    answer = worker.get("/services")
    assert answer is not None
    return answer[1]


def _require_ready(worker: Worker) -> None:
    worker.until(lambda _: (worker.get("/health/ready") or (0, {}))[0] == 200, what="ready")


def test_workers_stay_ready_and_live_while_they_report_how_they_are_scaled(village: Village) -> None:
    workers = [village.worker(name) for name in ("one", "two")]
    village.settle_in(PEOPLE)
    village.live(PEOPLE)
    with running(*workers):
        for worker in workers:
            worker.until_running()
        village.until("answered", len(PEOPLE))
        for worker in workers:
            _require_ready(worker)
            assert _reported(worker)["growth"] is None
        asking = village.ask(6, worker=workers[0])
        seen: set[str] = set()
        while not asking.done():
            for worker in workers:
                for path in ("/health/ready", "/health/live"):
                    status, answer = worker.get(path) or (0, {})
                    assert status == 200, answer
                if (growth := _reported(worker)["growth"]) is not None:
                    seen.add(growth["phase"])
        assert asking.result()["growth"]["phase"] == "done"
        assert {"pausing", "copying"} & seen
        for worker in workers:
            found = worker.until(lambda status: status["growth"]["phase"] == "done" and status["phase"] == "running")
            assert (found["growth"]["partitions"], found["growth"]["generation"]) == ([6], 2)
            assert (found["growth"]["until"], found["growth"]["to_copy"]) == (None, None)
        told = larder("services", kafka=village.kafka, directory=village.directory, module=workers[0].module)
        assert "  scaled to 6 partitions\n" in told.stdout
        village.live(PEOPLE)
        village.until_done()
    village.judge()
