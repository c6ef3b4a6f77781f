"""What all tests share: one broker for a run, topics of their own, which are run, and which were not."""

from __future__ import annotations

import os
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.brokers import local_broker
from tests.support.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent

# An entry point names it where Larder is installed; here it need not be.
pytest_plugins = ["larder.pytest_plugin"]

# Each worker that a test starts imports 1,000 modules. Without bytecode on disk it compiles all of them again, which
# takes 1.3 of the 2 seconds of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A broker of a test lives for seconds: the compiler that makes long-lived programs faster takes a third of its start.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# A machine that does other things too is slow now and then; how slow a test may be, pytest-timeout says.
settings.register_profile("larder", deadline=None)
settings.load_profile("larder")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--scenario", metavar="LINE", help="run only what shows this line of docs/design/scenarios.md, as 4.2"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if chromium() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=_NO_BROWSER))
    items.sort(key=_turn)
    wanted = config.getoption("--scenario")
    if not wanted:
        return
    shown = [item for item in items if wanted in _scenarios(item)]
    if not shown:
        known = sorted({name for item in items for name in _scenarios(item)})
        message = f"no test shows scenario {wanted}; there are {', '.join(known) or 'none'}"
        raise pytest.UsageError(message)
    config.hook.pytest_deselected(items=[item for item in items if item not in shown])
    items[:] = shown


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that pages were not looked at: a line among the dots is not seen."""
    reports = terminalreporter.stats.get("skipped", [])
    left_out = sum(_NO_BROWSER in str(report.longrepr) for report in reports)
    if left_out:
        terminalreporter.section(f"{left_out} BROWSER TESTS WERE LEFT OUT", sep="!", red=True, bold=True)
        terminalreporter.line(f"{_NO_BROWSER}: pages were not looked at. Install it: apt-get install chromium")


_NO_BROWSER = "no Chromium on this machine"


_SHORT = ("larder",)


def _turn(item: pytest.Item) -> int:
    """Files that take long come first, so that no process ends long after the others; the shortest come last."""
    directory = item.path.relative_to(ROOT / "tests").parts[0]
    return _SHORT.index(directory) + 1 if directory in _SHORT else 0


def _scenarios(item: pytest.Item) -> set[str]:
    return {str(name) for marker in item.iter_markers("scenario") for name in marker.args}


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker: that of `KAFKA`, or one that is started for this run."""
    if given := os.environ.get("KAFKA"):
        yield given
        return
    with local_broker(tmp_path_factory.mktemp("broker")) as address:
        yield address


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic name that no other test, and no other run on the same broker, has."""
    return unique(request.node.name)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """As `topic`, for a test that needs several: f"{prefix}.orders"."""
    return unique(request.node.name)


def unique(name: str) -> str:
    """Give a name for topics and services; Kafka allows 249 characters of [a-zA-Z0-9._-]."""
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", name.removeprefix("test_"))[:60].strip("-")
    return f"{readable}.{uuid.uuid4().hex[:8]}"
