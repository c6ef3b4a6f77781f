"""The cost of ten times as many rows: the memory of a worker, and the time to restore one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import loading, restoring

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.report import Report


async def measure(bench: Bench, report: Report) -> None:
    """Restore each table of the plan, and compare the cost of each with the first."""
    costs = []
    for rows in bench.plan.grown:
        name = f"{rows // 1_000_000}m"
        with report.trying(f"memory.{name}"):
            await loading.create_topics(bench.brokers, [bench.topic(f"rows-{name}")], compacted=True)
            await loading.load_customers(bench.brokers, bench.topic(f"rows-{name}"), rows)
            restored = await restoring.by_larder(bench, f"rows-{name}", rows)
            costs.append(restored.seconds / restored.rows)
            report.figures[f"memory.rows_{name}_mb"] = restored.resident_mb
            report.figures[f"restore.cost_{name}_us"] = costs[-1] * 1e6
            bench.say(f"{name} rows: {restored.per_s:,.0f} rows/s, {restored.resident_mb:,.0f} MB")
    if len(costs) == len(bench.plan.grown) and costs:
        report.figures["restore.cost_10m_vs_1m"] = costs[-1] / costs[0]
