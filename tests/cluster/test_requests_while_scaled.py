"""Clients send requests while their service gets another number of partitions: each counts once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.cluster.reservations import reserving
from tests.support.beside import Beside, repeated
from tests.support.topics import read

FINISH_SECONDS = 60.0


@pytest.mark.timeout(300)
def test_each_request_counts_once_while_its_service_is_scaled_up_and_down(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    with reserving(kafka, tmp_path, prefix) as reservations:
        bodies = {
            f"{prefix} {number:06}": {"item": f"item{number % 15}", "reservation": f"r{number}"}
            for number in range(600)
        }
        told: dict[str, tuple[int, object]] = {}
        left, turn = list(bodies), threading.Lock()
        statuses: Counter[int] = Counter()

        def ask() -> None:
            """Send one request to the next worker, and again later if there is no outcome."""
            with turn:
                once = left.pop(0) if left else next(iter(bodies))
            worker = reservations.workers[hash(once) % 3]
            status, body = worker.post("/reservations", bodies[once], {"Idempotency-Key": once})
            statuses[status] += 1
            outcome = status, (body.get("row"), body.get("reason"))
            if status not in {200, 201, 409}:
                assert status in {0, 503}, body
                with turn:
                    left.append(once)
            else:
                assert told.setdefault(once, outcome) == outcome, "another answer to the same request"

        with repeated(ask, 0.01), repeated(ask, 0.01), repeated(ask, 0.01):
            assert reservations.scale(7)["phase"] == "done"
            assert reservations.scale(3)["phase"] == "done"
        deadline = time.monotonic() + FINISH_SECONDS
        while left:
            assert time.monotonic() < deadline, (statuses, left[:3])
            ask()
        for once in bodies:
            left.append(once)
            ask()
        name = reservations.name
        events = [msgspec.json.decode(each.value or b"") for each in beside.call(read(kafka, f"{name}.reserved"))]
        refusals = [msgspec.json.decode(each.value or b"") for each in beside.call(read(kafka, f"{name}.refusals"))]
    assert len(told) == len(bodies)
    counts = Counter(each["reservation"] for each in events) + Counter(
        each["event"]["reservation"] for each in refusals
    )
    assert counts == Counter(body["reservation"] for body in bodies.values())
    taken = Counter(each["item"] for each in events)
    assert taken == {f"item{number}": 10 for number in range(15)}
