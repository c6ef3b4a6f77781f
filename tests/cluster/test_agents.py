"""Agents, the user's own code: what happens to a worker whose agent fails, and to the batches of the agent."""

from __future__ import annotations

import pytest

from tests.cluster.shops import Shop
from tests.support.topics import until
from tests.support.workers import running

# An agent writes a line to a file after each batch, so that the test can observe it.
AGENT = """
DONE = pathlib.Path("{directory}") / "done"

@service.agent(orders)
async def audit(batches):
    async for batch in batches:
        for row in batch.rows():
            if row.order_id == "poison" and not (pathlib.Path("{directory}") / "cured").exists():
                {failure}
        with DONE.open("a") as done:
            done.writelines(f"{row.order_id}\\n" for row in batch.rows())
"""


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        ('raise RuntimeError("no poison, please")', "RuntimeError: no poison, please"),
        ("return", "audit"),
        ("raise SystemExit(0)", r"raised SystemExit(0), which ends the worker"),
    ],
    ids=["raises", "returns", "exits"],
)
def test_an_agent_that_ends_stops_its_worker_and_its_unfinished_records_are_read_again(
    shop: Shop, failure: str, cause: str
) -> None:
    text = shop.module(AGENT.replace("{directory}", str(shop.directory)).replace("{failure}", failure))
    worker = shop.worker(text)
    with running(worker):
        before = shop.order(50)
        worker.until_running()
        worker.until(lambda _: set(before) <= _done(shop), what="finished batches")
        status = worker.until(
            lambda status: status["agents"][0]["counts"]["done"] == 50, what="an agent that asks for more"
        )
        assert status["agents"] == [
            {"name": "audit", "topic": f"{shop.prefix}.orders", "counts": {"given": 50, "done": 50}}
        ]
        assert worker.metrics()["larder_agent_records_total", "audit", "done"] == 50
        page = worker.page("/")
        assert "<code>audit</code>" in page
        assert "done <b>50</b>" in page
        shop.order_as("poison")
        assert worker.exit_code() not in {0, None}
        assert cause in worker.text
        assert "poison" not in _done(shop)
        (shop.directory / "cured").touch()
        after = shop.order(50)
        worker.start()
        worker.until(lambda _: {*before, *after, "poison"} <= _done(shop), what="the rest and the failed batches")
        assert worker.stop() == 0


HANGING = """
import asyncio, threading, time

@service.agent(orders)
async def audit(batches):
    threading.Thread(target=time.sleep, args=(3600,), name="pool-of-mine").start()
    while True:
        try:
            async for batch in batches:
                pass
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
"""


def test_an_endless_agent_and_its_thread_do_not_keep_the_process_alive(shop: Shop) -> None:
    worker = shop.worker(shop.module(HANGING))
    with running(worker):
        worker.until_running()
        assert worker.stop(timeout=30) == 1
        said = worker.until_logged("exiting; still running: .*")
        assert "task run_agent at " in said
        assert "thread pool-of-mine" in said


BLOCKING = """
@service.agent(orders)
async def audit(batches):
    async for batch in batches:
        DONE.touch()
        time.sleep(3600)
"""


def test_an_agent_that_blocks_the_event_loop_does_not_keep_the_process_alive(shop: Shop) -> None:
    done = f'import time\nDONE = pathlib.Path("{shop.directory}") / "done"'
    worker = shop.worker(shop.module(done + BLOCKING))
    with running(worker):
        worker.until_running()
        shop.order(1)
        shop.beside.call(until((shop.directory / "done").exists, 30, "a batch"))
        assert worker.stop(timeout=30) == 1
        assert "task run_agent at " in worker.until_logged("exiting; still running: .*")


def _done(shop: Shop) -> set[str]:
    file = shop.directory / "done"
    return set(file.read_text().split()) if file.exists() else set()
