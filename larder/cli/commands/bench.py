"""Benchmark this machine: Larder compared with a bare loop, Kafka Streams, Quix Streams and plain Faust."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

ROOT = Path(__file__).resolve().parents[3]


@click.command("bench", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--quick] [--json PATH] [--only PART]...")
def command(arguments: tuple[str, ...]) -> None:
    """Run the benchmark of the checkout; `make bench` installs the systems that it compares with.

    --quick runs a shorter benchmark, in less than eight minutes. --json PATH writes the results to a file.
    --only PART (join, decide, restore, get, http, transactions, requests, calls, orders, failover, growth, freshness,
    memory) runs that part alone.
    """
    if not (ROOT / "tests" / "bench").is_dir():
        found = f"an installed package in {ROOT}"
        raise MistakeError(Problem("larder bench", "requires a checkout of larder", found, "run make bench in one"))
    program = [sys.executable, "-m", "tests.bench", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    raise SystemExit(subprocess.run(program, env=environment, check=False).returncode)  # noqa: S603 - our own program
