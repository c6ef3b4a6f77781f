"""Reports of several workers become one: numbers add up, whichever worker counted them first."""

from __future__ import annotations

from larder.observability.sums import over_all, summed


def test_reports_that_agree_in_their_names_are_added() -> None:
    reports = [
        {"name": "a", "folds": True, "inputs": ["x"], "counts": {"hits": 1}, "waiting": 2},
        {"name": "b", "folds": False, "inputs": [], "counts": {}, "waiting": 0},
        {"name": "a", "folds": True, "inputs": ["x"], "counts": {"hits": 3, "parked": 4}, "waiting": 5},
    ]
    assert summed(reports, "name") == [
        {"name": "a", "folds": True, "inputs": ["x"], "counts": {"hits": 4, "parked": 4}, "waiting": 7},
        {"name": "b", "folds": False, "inputs": [], "counts": {}, "waiting": 0},
    ]
    assert reports[0]["counts"] == {"hits": 1}, "what a worker reported is left as it is"


def test_a_figure_for_all_partitions_is_unknown_as_soon_as_one_is() -> None:
    assert (over_all(sum, [1, 2]), over_all(sum, [1, None]), over_all(max, [])) == (3, None, None)
