"""The growth of a service, from the reports of its workers: added up once, and in one line."""

from __future__ import annotations

from typing import Any

import pytest

from larder.observability.growths import facts, line, of_all


def growth(phase: str = "copying", **others: Any) -> dict[str, Any]:
    return {
        "phase": phase,
        "generation": 2,
        "partitions": [6],
        "began": 100.0,
        "phase_began": 110.0,
        "until": 700.0,
        "reason": None,
        "copied": None,
        "to_copy": None,
        "expected_s": None,
    } | others


def test_nobody_reports_a_growth_of_a_service_that_was_never_scaled() -> None:
    assert of_all([]) is None
    assert of_all([None, None]) is None


def test_the_progress_of_all_workers_is_added_and_the_last_one_ends_it() -> None:
    one, two = growth(copied=10, to_copy=30, expected_s=4.0), growth(copied=5, to_copy=20, expected_s=9.0)
    assert of_all([one, None, two, growth()]) == growth(copied=15, to_copy=50, expected_s=9.0)
    assert of_all([one, {**two, "expected_s": None}]) == growth(copied=15, to_copy=50, expected_s=None)
    assert one["copied"] == 10, "what a worker reported is left as it is"


def test_a_worker_that_has_not_seen_the_newest_phase_is_left_out() -> None:
    before = growth(copied=10, to_copy=30, expected_s=4.0)
    now = growth("filling", phase_began=120.0)
    for reports in ([before, now], [now, before]):
        assert of_all(reports) == now
    again = growth("pausing", began=200.0, phase_began=200.0, generation=3)
    assert of_all([now, again]) == again


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (growth("pausing"), "being scaled to 6 partitions: pausing"),
        (
            growth(copied=1_200, to_copy=5_000, expected_s=12.4),
            "being scaled to 6 partitions: copying, 1,200 of 5,000 offsets, about 12 s left",
        ),
        (growth(copied=0, to_copy=0, expected_s=0.0), "being scaled to 6 partitions: copying"),
        (growth("filling", partitions=[1]), "being scaled to 1 partition: filling"),
        (growth("done"), "scaled to 6 partitions"),
        (growth("cancelled", reason="by command"), "not scaled: cancelled, by command"),
        (growth("refused", reason="no such thing"), "not scaled: refused, no such thing"),
    ],
)
def test_a_growth_is_one_line(found: dict[str, Any], said: str) -> None:
    assert line(found) == said


def test_what_works_is_known_of_each_phase_of_a_growth_that_succeeds() -> None:
    assert [facts(growth(phase)) is None for phase in ("pausing", "copying", "filling", "done")] == [False] * 4
    assert [facts(growth(phase)) for phase in ("cancelled", "refused", "of another version")] == [None] * 3
