"""How a figure comes about: from looks at a topic to a rate, and from rates to what is reported."""

from __future__ import annotations

import pytest

from agents.engine.partitioning import partitions_of
from tests.bench import shop
from tests.bench.process import ContestantError
from tests.bench.report import KEYS, Report
from tests.bench.watching import Sample, steady


def test_the_rate_is_that_between_two_shares_of_the_results_and_leaves_warming_up_out() -> None:
    slow_start = [Sample(0, 0, 0.0), Sample(10, 100, 5.0)]
    then_steady = [Sample(10 + second, 100 + 100 * second, 5.0 + 0.5 * second) for second in range(1, 10)]
    found = steady(slow_start + then_steady, 0.1, 0.9)
    assert found.per_s == pytest.approx(100)
    assert found.per_cpu_s == pytest.approx(200)
    assert found.cores == pytest.approx(0.5)


def test_the_time_at_which_a_share_was_reached_is_interpolated_between_looks() -> None:
    found = steady([Sample(0, 0, 0), Sample(1, 0, 1), Sample(3, 200, 3)], 0.25, 0.75)
    assert found.seconds == pytest.approx(1.0)
    assert found.per_s == pytest.approx(100)


def test_a_ratio_is_our_rate_divided_by_theirs() -> None:
    report = Report({"join.global.larder_per_s": 300.0, "join.global.kafka_streams_per_s": 100.0})
    assert report.with_ratios()["join.global.wall_vs_kafka_streams"] == pytest.approx(3.0)


def test_a_contestant_that_fails_is_reported_and_its_ratio_is_named_as_lacking() -> None:
    report = Report({"join.global.larder_per_s": 300.0})
    with report.trying("join.global.quix"):
        message = "Quix Streams ended by itself"
        raise ContestantError(message)
    assert report.failures == {"join.global.quix": "Quix Streams ended by itself"}
    assert "join.global.wall_vs_quix" in report.lacking(quick=True, areas=("join",))


def test_only_the_full_run_has_to_find_memory_and_growth_of_cost() -> None:
    areas = ("join", "decide", "restore", "get", "http", "transactions", "failover", "freshness", "memory")
    quick, full = (set(Report().lacking(quick=quick, areas=areas)) for quick in (True, False))
    assert full == {key.name for key in KEYS}
    assert full - quick == {"memory.rows_10m_mb", "restore.cost_10m_vs_1m"}


def test_orders_go_to_all_customers_alike_and_are_the_same_in_every_run() -> None:
    customers = shop.customers_of(range(100_000), 1000)
    counts = [customers.count(customer) for customer in range(0, 1000, 100)]
    assert all(60 < count < 140 for count in counts)
    assert shop.customers_of([4711], 1000) == [customers[4711]]
    assert set(partitions_of([shop.customer_key(each) for each in customers[:1000]], 4)) == {0, 1, 2, 3}
