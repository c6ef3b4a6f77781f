"""What a worker says of its calls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from larder.operators.calls.breaker import OPENS_AT, Breaker
from larder.worker.call_status import CallStatus, call_status


class Waiting:
    """The calls of a partition, as far as their status goes."""

    def __init__(self, *arrived: float, at_most: int = 3) -> None:
        self.arrived = arrived
        self.most = at_most

    def __len__(self) -> int:
        return len(self.arrived)

    def oldest(self) -> float | None:
        return min(self.arrived, default=None)

    def at_most(self) -> bool:
        return len(self) >= self.most


def status(breaker: Breaker, *partitions: Waiting, running: int = 0, hanging: int = 0) -> CallStatus:
    outside: Any = SimpleNamespace(breaker=breaker, running=range(running), hanging=hanging)
    held: Any = dict(enumerate(partitions))
    return call_status(held, outside)


def test_calls_are_counted_over_the_partitions_and_the_oldest_and_the_full_ones_are_named() -> None:
    found = status(Breaker(), Waiting(5.0), Waiting(), Waiting(4.0, 6.0, 7.0), running=2, hanging=1)
    assert found == CallStatus(waiting=4, running=2, hanging=1, oldest=4.0, full=[2])
    assert found.as_dict()["breaker"] == {"state": "closed", "until": None}


def test_an_open_breaker_says_until_when_also_while_a_call_is_tried() -> None:
    breaker = Breaker()
    for number in range(OPENS_AT):
        breaker.failed(f"c{number}", b"%d" % number, 10.0 + number, 20.0)
    assert status(breaker).as_dict()["breaker"] == {"state": "open", "until": 21.0}
    breaker.begin("c1")
    assert status(breaker).as_dict()["breaker"] == {"state": "half-open", "until": 21.0}
    breaker.succeeded(21.5)
    assert status(breaker).as_dict()["breaker"] == {"state": "closed", "until": None}


@pytest.mark.parametrize("partitions", [{}, {0: Waiting(1.0)}])
def test_before_its_first_call_nothing_runs(partitions: dict[int, Any]) -> None:
    found = call_status(partitions, None)
    assert (found.waiting, found.running, found.breaker.value) == (len(partitions), 0, "closed")
