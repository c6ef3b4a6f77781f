"""The in-process get of one row, measured in a separate process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.bench.process import Command, output_of

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.report import Report

ROWS = 100_000
END_SECONDS = 120.0


async def measure(bench: Bench, report: Report) -> None:
    """Report the figures of the program `own_gets`."""
    with report.trying("get"):
        directory = bench.directory / "gets"
        command = [sys.executable, "-m", "tests.bench.own_gets", str(ROWS), str(directory / "table")]
        figures = await output_of(Command("larder", command, directory), END_SECONDS)
        report.figures.update({f"get.{name}": figure for name, figure in figures.items()})
        bench.say(f"get: {figures['raw_us']:.2f} us raw, {figures['typed_us']:.2f} us typed")
