"""A service summed over its workers: operators of each kind, also where one worker is of another version."""

from __future__ import annotations

from typing import Any

from larder.pages.totals import calls, growth, others, requests
from tests.larder.pages.samples import AT, CALLED, scaled, services, status


def _said(worker: str, **counted: Any) -> dict[str, Any]:
    return {**status(worker), **counted}


def test_decides_folds_reactions_and_agents_are_summed_by_name() -> None:
    decides = [
        {"name": "levels", "inputs": ["requests"], "folds": False, "counts": {"decided": 3, "refused": 1}},
        {"name": "sums", "inputs": ["requests"], "folds": True, "counts": {"decided": 2}},
    ]
    reactions = [{"table": "customers", "counts": {"changes": 5}}]
    agents = [{"name": "audit", "topic": "orders", "counts": {"given": 7, "done": 6}}]
    one = _said("one", decides=decides, reactions=reactions, agents=agents)
    two = {
        name: value for name, value in _said("two", decides=decides, reactions=reactions).items() if name != "agents"
    }
    found = others({**one, "workers": [{"worker": "two", "told": two}]})
    assert [(each["kind"], each["name"], each["counts"]) for each in found] == [
        ("decide", "levels", {"decided": 6, "refused": 2}),
        ("fold", "sums", {"decided": 4}),
        ("reaction", "customers", {"changes": 10}),
        ("agent", "audit", {"given": 7, "done": 6}),
    ]


def test_requests_are_summed_by_address_apart_from_other_operators() -> None:
    asked = {"kind": "request", "name": "POST /orders", "state": "orders", "into": ["placed"], "example": {}}
    one, two = ({**asked, "counts": {"decided": decided, "failed": 1}} for decided in (3, 4))
    said = {**_said("one", operators=[one]), "workers": [{"worker": "two", "told": _said("two", operators=[two])}]}
    assert requests(said) == [{**asked, "counts": {"decided": 7, "failed": 2}}]
    assert others(said) == []


def test_calls_are_summed_by_name_with_the_breakers_of_each_worker_and_the_oldest_of_all() -> None:
    (found,) = calls(CALLED)
    assert {each: found[each] for each in ("waiting", "running", "hanging", "oldest", "full", "breakers")} == {
        "waiting": 10_643,
        "running": 51,
        "hanging": 2,
        "oldest": AT - 431,
        "full": [0, 1],
        "breakers": {"shipping-1": "open", "shipping-2": "half-open"},
    }
    assert (found["name"], found["counts"]["done"]) == ("charge", 16_220)
    assert others(CALLED) == []


def test_the_progress_of_a_growth_is_that_of_all_workers() -> None:
    found = growth(scaled())
    assert found is not None
    assert (found["copied"], found["to_copy"], found["expected_s"]) == (2_400, 10_000, 12.4)
    assert growth(services()) is None
