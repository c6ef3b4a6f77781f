"""What is wrong with a worker is judged from its status, once for all who show it."""

from __future__ import annotations

from larder.observability.conditions import (
    Diverging,
    HeldBack,
    NotRunning,
    RejectedRows,
    Severity,
    Shortage,
    conditions,
)


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
