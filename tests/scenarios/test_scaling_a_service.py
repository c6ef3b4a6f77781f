"""System 4, scaling out: the partitions of a service change while workers are killed and added, under load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.neighbours import Neighbours
from tests.cluster.villages import Village, asking_for
from tests.support.beside import Beside, loop_beside, repeated
from tests.support.workers import none_left, running

PARTITIONS = 6
EARLY = [f"early{number}" for number in range(10)]
"""Customers who live before the load begins, and never again: their rows stay as they are."""
BUSY = [f"busy{number}" for number in range(30)]
"""Customers who call, order, move and pay all the time."""
LATE = BUSY[20:]
"""Customers whose rows come last: until then what they call for and order waits."""


@pytest.fixture
def beside() -> Iterator[Beside]:
    with loop_beside() as beside:
        yield beside


@pytest.mark.scenario("4.7")
@pytest.mark.timeout(400)
def test_a_service_is_scaled_up_and_down_under_load_while_workers_come_and_go(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    village = Village(kafka, prefix, beside, tmp_path, partitions=PARTITIONS)
    neighbours = Neighbours(village, PARTITIONS)
    one, two, three, four = (village.worker(name, wait=300) for name in ("one", "two", "three", "four"))
    village.settle_in([*EARLY, *BUSY[:20]])
    with none_left(four), running(one, two, three):
        village.live(EARLY)
        village.until_done()
        rows = {
            **{(village.name("customers"), who): ("name", village.names[who]) for who in EARLY},
            **{(village.name("accounts"), who): ("total", village.totals(who)[-1]) for who in EARLY},
        }
        with neighbours.following(), asking_for([three], rows) as answers:
            with repeated(partial(village.live, BUSY)):
                neighbours.visit(EARLY)
                one.kill()
                four.start()
                four.until_running(60)
                asking = village.ask(12, worker=three)
                village.until_phase(three, "copying")
                two.kill()
                four.kill()
                neighbours.visit(EARLY)
                two.start()
                assert asking.result(90)["growth"]["phase"] == "done"
                four.start()
                for partitions in ("24", "5"):
                    neighbours.visit(EARLY)
                    grown = village.scale("--partitions", partitions, worker=three, timeout=90)["growth"]
                    assert grown["phase"] == "done"
            village.settle_in(LATE)
            neighbours.visit(EARLY)
            village.until_done()
            village.judge()
            neighbours.judge()
            assert not [wrong for _, wrong in answers if wrong]
            assert sum(status == 200 for status, _ in answers) > len(answers) / 2
        for worker in (two, three, four):
            assert worker.stop() == 0, worker.text[-4000:]
