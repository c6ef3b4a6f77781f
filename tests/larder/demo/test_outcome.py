"""The progress and the outcome of a demo in figures and words. Pure functions."""

from __future__ import annotations

from app.demo import demo
from larder.demo.lines import WorkerLine, line
from larder.demo.outcome import DemoOutcome
from tables import shop


def test_a_line_has_the_rate_since_the_previous_one_and_no_lag_while_one_is_unknown() -> None:
    status = {
        "phase": "running",
        "processed": 3000,
        "inputs": [{"lag": 5}, {"lag": 7}],
        "joins": [{"counts": {"joined": 2900, "missing": 4}, "waiting": 3}],
    }
    shown = line("shipping-1", status, WorkerLine("shipping-1", "running", processed=1000), 2.0)
    assert shown == WorkerLine("shipping-1", "running", 3000, 1000.0, 12, 2900, 4, 3)
    assert "1,000/s" in shown.plain()
    assert line("shipping-1", {**status, "inputs": [{"lag": None}]}, None, 2.0).lag is None
    assert line("shipping-1", {}, None, 2.0) == WorkerLine("shipping-1", "starting")


def test_the_outcome_counts_from_the_first_observed_result() -> None:
    outcome = DemoOutcome(demo)
    outcome.observe({}, 1.0)
    outcome.observe({shop.enriched_orders.name: 10, shop.fulfilments.name: 4}, 5.0)
    outcome.observe({shop.enriched_orders.name: 210, shop.fulfilments.name: 200}, 7.0)
    outcome.observe({shop.enriched_orders.name: 210, shop.fulfilments.name: 210}, 9.0)
    report = outcome.as_dict()
    assert (report["seconds_to_first_joined"], report["enriched"], report["fulfilled"]) == (5.0, 210, 210)
    assert report["per_second"] == 105.0


def test_the_outcome_uses_the_nouns_of_the_demo() -> None:
    outcome = DemoOutcome(demo, published=1_200, missing=3, waiting=1)
    outcome.observe({shop.enriched_orders.name: 1_199}, 5.0)
    assert outcome.in_words() == (
        "1,200 orders published, 1,199 enriched, 0 fulfilled; 3 missed a row at first, 1 still wait"
    )
    assert list(outcome.as_dict()) == [
        "workers", "orders", "enriched", "fulfilled", "missing", "waiting", "per_second", "seconds_to_first_joined",
    ]  # fmt: skip
