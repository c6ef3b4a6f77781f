"""How figures are calculated: from samples of a topic to a rate, and from rates to the report."""

from __future__ import annotations

import pytest
from aiohttp import web

from larder.cli.commands import bench
from larder.kafka.partitioner import partitions_of
from tests.bench import http_load, shop, showing
from tests.bench.__main__ import PARTS
from tests.bench.asking import kept_ingestion
from tests.bench.http_load import Load, Pulse
from tests.bench.process import ContestantError
from tests.bench.report import KEYS, Report
from tests.bench.requesting import Answered, require_each_once
from tests.bench.watching import Sample, steady


def test_the_rate_excludes_the_warm_up() -> None:
    slow_start = [Sample(0, 0, 0.0), Sample(10, 100, 5.0)]
    then_steady = [Sample(10 + second, 100 + 100 * second, 5.0 + 0.5 * second) for second in range(1, 10)]
    found = steady(slow_start + then_steady, 0.1, 0.9)
    assert found.per_s == pytest.approx(100)
    assert found.per_cpu_s == pytest.approx(200)
    assert found.cores == pytest.approx(0.5)


def test_the_time_at_which_a_share_was_reached_is_interpolated() -> None:
    found = steady([Sample(0, 0, 0), Sample(1, 0, 1), Sample(3, 200, 3)], 0.25, 0.75)
    assert found.seconds == pytest.approx(1.0)
    assert found.per_s == pytest.approx(100)


def test_a_ratio_is_our_rate_divided_by_theirs() -> None:
    report = Report({"join.global.larder_per_s": 300.0, "join.global.kafka_streams_per_s": 100.0})
    assert report.with_ratios()["join.global.wall_vs_kafka_streams"] == pytest.approx(3.0)


def test_a_failed_contestant_is_reported_and_its_ratio_is_missing() -> None:
    report = Report({"join.global.larder_per_s": 300.0})
    with report.trying("join.global.quix"):
        message = "Quix Streams ended by itself"
        raise ContestantError(message)
    assert report.failures == {"join.global.quix": "Quix Streams ended by itself"}
    assert "join.global.wall_vs_quix" in report.lacking(quick=True, areas=("join",))


def test_only_the_full_run_measures_memory_and_the_cost_of_many_rows() -> None:
    quick, full = (set(Report().lacking(quick=quick, areas=tuple(PARTS))) for quick in (True, False))
    assert full == {key.name for key in KEYS}
    assert full - quick == {"memory.rows_10m_mb", "restore.cost_10m_vs_1m"}


def test_ingestion_during_lookups_is_compared_with_ingestion_alone() -> None:
    samples = [Sample(0, 0, 0), Sample(1, 100, 0)]
    for second in range(1, 9):
        samples.append(Sample(second + 1, samples[-1].records + (50 if second % 2 else 100), 0))
    samples.append(Sample(20, samples[-1].records, 0))
    pulses = [Pulse(second, second + 1, 10, 0, 0.1, []) for second in (1, 3, 5, 7, 12)]
    found = kept_ingestion(samples, pulses)
    assert (found.loaded_per_s, found.alone_per_s) == (pytest.approx(50), pytest.approx(100))
    assert found.pulses == pulses[:4]
    with pytest.raises(ValueError, match="two are needed"):
        kept_ingestion(samples, pulses[3:])


@pytest.mark.parametrize("per_s", [0.0, 200.0])
async def test_the_load_generator_counts_rows_and_other_answers(per_s: float) -> None:
    async def row(request: web.Request) -> web.Response:
        return web.Response(text="x" * 100_000, status=404 if request.match_info["key"] == "none" else 200)

    app = web.Application()
    app.router.add_get("/{key}", row)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        load = Load("127.0.0.1", runner.addresses[0][1], ["/some", "/none"], 4, per_s, 2, 0.5)
        first, second = await http_load.main(load)
    finally:
        await runner.cleanup()
    for pulse in (first, second):
        assert pulse.answers == len(pulse.took) > 20
        assert abs(pulse.wrong - pulse.answers / 2) <= 1
        assert per_s == 0 or pulse.answers <= per_s * 0.5 + 1


def test_orders_are_spread_evenly_over_customers_and_equal_in_every_run() -> None:
    customers = shop.customers_of(range(100_000), 1000)
    counts = [customers.count(customer) for customer in range(0, 1000, 100)]
    assert all(60 < count < 140 for count in counts)
    assert shop.customers_of([4711], 1000) == [customers[4711]]
    assert set(partitions_of([shop.customer_key(each) for each in customers[:1000]], 4)) == {0, 1, 2, 3}


def test_the_help_of_the_command_names_all_parts() -> None:
    assert f"--only PART ({', '.join(PARTS)})" in " ".join(str(bench.command.help).split())


def test_requests_that_count_twice_or_not_at_all_are_no_figure() -> None:
    answers = [Answered(customer, orders, 0.01) for customer in ("a", "b") for orders in (2, 1, 3)]
    require_each_once(answers)
    for wrong in (answers[1:], [*answers, answers[0]]):
        with pytest.raises(ValueError, match="answers about a count"):
            require_each_once(wrong)


def test_a_figure_without_a_target_is_neither_met_nor_missed() -> None:
    table = showing.of_targets(Report({"requests.per_s": 300.0}))
    assert [list(column.cells)[-1] for column in table.columns][4:] == ["300.00", "", ""]
