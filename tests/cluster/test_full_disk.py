"""A worker with a full disk reports it and ends; once there is space, it continues from where it was."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from tests.support.topics import COMPACTED, create, send
from tests.support.workers import Worker, running

MODULE = """
    from larder import OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        name: str

    keeping = Service("{p}")
    keeping.global_table(OwnerTopic("{p}.customers", Customer, key="customer_id"))
"""

ROWS = 2_000


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process can be set on Linux only")
async def test_a_worker_with_a_full_disk_reports_it_and_continues_when_there_is_space(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    await create(kafka, {f"{prefix}.customers": 1}, COMPACTED)
    worker = Worker(kafka, tmp_path, MODULE.format(p=prefix), prefix)
    with running(worker):
        worker.until_logged("running")
        # A limit on the size of files simulates a full disk.
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (1 << 18, resource.RLIM_INFINITY))
        customers = [{"customer_id": f"c{number}", "name": "n" * 500} for number in range(ROWS)]
        await send(kafka, f"{prefix}.customers", [(each["customer_id"], each) for each in customers])
        assert worker.exit_code() == 3
        assert "a write requires room on disk" in worker.text.splitlines()[-1]
        assert "make room on that file system, then start the worker again" in worker.text
        assert "Traceback" not in worker.text

        worker.start()
        status = worker.until_caught_up()
        assert status["tables"][0]["rows"] == ROWS


def test_a_directory_that_is_not_writable_is_reported(kafka: str, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    settings = {"LARDER_DIRECTORY": str(tmp_path / "a file" / "below it")}
    worker = Worker(kafka, tmp_path, MODULE.format(p=prefix), prefix, environment=settings)
    with running(worker):
        assert worker.exit_code() == 3
    assert "requires a directory that is writable; found Not a directory" in worker.text
    assert "Traceback" not in worker.text
