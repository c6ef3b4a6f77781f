"""What is wrong with a worker is judged from its status, once for all who show it."""

from __future__ import annotations

from larder.assembly.uneven import being_scaled
from larder.observability.conditions import (
    BeingScaled,
    Diverging,
    FullCalls,
    HangingCalls,
    HeldBack,
    NotRunning,
    OpenBreaker,
    RejectedRows,
    Severity,
    Shortage,
    conditions,
)
from tests.larder.observability.test_growths import growth
from tests.larder.pages.samples import calling


def test_a_worker_that_is_well_has_no_condition() -> None:
    table = {"table": "t", "held": "global", "parked": 0, "diverging": None}
    assert not list(conditions({"phase": "running", "warnings": [], "held_back": [], "tables": [table]}))


def test_each_thing_that_is_wrong_is_a_condition() -> None:
    fell = {"key": "k"}
    table = {"table": "t", "held": "partition", "parked": 2, "diverging": fell}
    status = {"phase": "recovering", "warnings": ["few files"], "held_back": ["grew"], "tables": [table]}
    assert list(conditions(status)) == [
        NotRunning(Severity.WARNING, "recovering"),
        Shortage("few files"),
        HeldBack("grew"),
        Diverging("t", fell),
        RejectedRows("t", 2, "partition"),
    ]


def test_a_worker_that_ends_is_worse_than_one_that_starts() -> None:
    assert list(conditions({"phase": "stopping"})) == [NotRunning(Severity.ERROR, "stopping")]


def test_a_worker_that_is_being_scaled_works_as_somebody_asked_for() -> None:
    held_back = [str(being_scaled("shipping", 6)), "grew"]
    status = {"phase": "being scaled to 6 partitions", "growth": growth("pausing"), "held_back": held_back}
    assert list(conditions(status)) == [BeingScaled(growth("pausing"), Severity.HINT), HeldBack("grew")]


def test_a_worker_that_fills_mirrors_is_still_being_scaled_and_one_that_was_scaled_is_well() -> None:
    assert list(conditions({"phase": "running", "growth": growth("filling")})) == [BeingScaled(growth("filling"))]
    assert not list(conditions({"phase": "running", "growth": growth("done")}))
    assert not list(conditions({"phase": "running", "growth": None}))


def test_a_worker_without_a_broker_says_so_also_while_it_is_being_scaled() -> None:
    status = {"phase": "waiting for the broker at b:1", "growth": growth()}
    assert list(conditions(status)) == [
        BeingScaled(growth()),
        NotRunning(Severity.WARNING, "waiting for the broker at b:1"),
    ]


def test_an_open_breaker_hanging_calls_and_full_partitions_are_told_by_call() -> None:
    half_open = {"state": "half-open", "until": 3.0}
    down = calling(waiting=7, hanging=2, full=[1, 3], breaker=half_open)
    others = {"kind": "request", "name": "POST /orders", "counts": {}}
    assert list(conditions({"operators": [others, calling(name="mail"), down]})) == [
        OpenBreaker("charge", 7),
        HangingCalls("charge", 2),
        FullCalls("charge", (1, 3)),
    ]
