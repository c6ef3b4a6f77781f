"""Fixtures of tests with worker processes: an event loop in a thread, a shop, and measurements that are printed."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.shops import Shop
from tests.support.beside import Beside, loop_beside

_MEASURED = pytest.StashKey[list[str]]()


logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the tests' own clients, while a broker is away


@pytest.fixture
def beside() -> Iterator[Beside]:
    with loop_beside() as beside:
        yield beside


@pytest.fixture
def shop(kafka: str, prefix: str, beside: Beside, tmp_path: Path, chance: random.Random) -> Iterator[Shop]:
    """A shop with its own topics and 60 customers."""
    shop = Shop(kafka, prefix, beside, tmp_path, chance)
    yield shop
    shop.close()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers that are the same in every run of a test."""
    return random.Random(request.node.name)  # noqa: S311 - nothing is secret here


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a line, and print it at the end of the run."""
    lines = request.config.stash.setdefault(_MEASURED, [])
    return lines.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_MEASURED, [])
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
