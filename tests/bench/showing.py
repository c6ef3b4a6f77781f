"""A report as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from tests.bench.report import KEYS

if TYPE_CHECKING:
    from tests.bench.report import Key, Report


def of_targets(report: Report) -> Table:
    """Show each key: the ratio or figure, the two figures behind a ratio, the target."""
    found = report.with_ratios()
    table = Table(title="Larder compared with others", title_justify="left")
    table.add_column("key")
    table.add_column("what")
    for name in ("larder", "other", "figure", "target"):
        table.add_column(name, justify="right")
    table.add_column("")
    for key in KEYS:
        if key.name in found:
            figure = found[key.name]
            ours, theirs = (f"{found[each]:,.0f}" for each in key.of) if key.of else ("", "")
            table.add_row(key.name, key.about, ours, theirs, f"{figure:.2f}", *_target(key, figure))
    return table


def of_figures(report: Report) -> Table:
    """Show all absolute figures."""
    table = Table(title="Absolute figures", title_justify="left")
    table.add_column("key")
    table.add_column("figure", justify="right")
    for name, figure in sorted(report.figures.items()):
        table.add_row(name, f"{figure:,.0f}" if figure >= 1000 else f"{figure:,.3g}")
    return table


def _target(key: Key, figure: float) -> tuple[str, str]:
    """Return the target, and whether the figure meets it; empty if it has none."""
    met = "[green]met[/green]" if key.meets(figure) else "[red]missed[/red]"
    if key.at_least is not None:
        return f"≥ {key.at_least:g}", met
    return (f"≤ {key.at_most:g}", met) if key.at_most is not None else ("", "")
