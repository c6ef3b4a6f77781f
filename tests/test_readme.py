"""The README keeps its word: the tour works as it is printed, and its tables say what the program says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from larder.cli.main import larder
from larder.config.settings import SETTINGS
from larder.config.values import shown
from larder.observability.metrics.catalogue import METRICS
from tests.bench.report import KEYS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SECONDS = 60
"""How long a command of the tour is repeated until it prints what the README says."""

NAMES = ("library", "lending", "mailing")
"""What topics, services and a module of the tour are called; each run has names of its own."""

NOT_HERE = ("make install", "larder broker")
"""Lines of the tour that prepare a machine: the tests have a command and a broker already."""


class Block(NamedTuple):
    """A fenced block; `name` is that of the file it is, from a first line such as `# library.py`."""

    language: str
    text: str

    @property
    def name(self) -> str:
        found = re.match(r"# (\S+\.(?:py|toml))\n", self.text)
        return found[1] if found else ""


def blocks(text: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {heading}"
    return found[1]


def table(heading: str, first: str) -> list[list[str]]:
    """The cells of the table of a section whose first column is called `first`."""
    text = section(heading)
    lines = text[text.index(f"| {first} |") :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


class Tour:
    """A directory in which the tour is taken, with `larder` and `python` on the path."""

    def __init__(self, kafka: str, directory: Path) -> None:
        self.directory = directory / "mine"
        self.directory.mkdir()
        path = directory / "bin"
        path.mkdir()
        for name, command in (("larder", "-m larder"), ("python", "")):
            (path / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
            (path / name).chmod(0o755)
        mine = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        self._environment = {
            **mine,
            "KAFKA": kafka,
            "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, script: str) -> tuple[int, str, str]:
        """Run a script to its end; answers exit code, output, and what it said."""
        done = subprocess.run(
            ["/bin/bash", "-ec", script],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def until_printed(self, command: str, expected: str) -> None:
        """Repeat a command until it prints what is expected: the worker is on its way."""
        deadline = time.monotonic() + SECONDS
        while (seen := self.run(command))[1] != expected:
            assert time.monotonic() < deadline, f"{command} should print\n{expected}\nand did\n{seen}\n{self.logs()}"

    @contextmanager
    def beside(self, command: str) -> Iterator[None]:
        """Run a worker while the tour goes on; it stops cleanly when it is told to."""
        with (self.directory / f"{command.rsplit(maxsplit=1)[-1]}.log").open("wb") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", f"exec {command}"],
                cwd=self.directory, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield
            process.terminate()
            assert process.wait(20) == 0, self.logs()
        finally:
            process.kill()
            process.wait(10)

    def logs(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in self.directory.glob("*.log"))


@pytest.mark.timeout(240)
def test_the_tour_works_as_it_is_printed(kafka: str, tmp_path: Path) -> None:
    text = section("A tour in five minutes")
    for name in NAMES:
        text = re.sub(rf"\b{name}\b", f"{name}{uuid.uuid4().hex[:6]}", text)
    tour = Tour(kafka, tmp_path)
    with ExitStack() as workers:
        for block, following in pairwise([*blocks(text), Block("", "")]):
            if block.name:
                (tour.directory / block.name).write_text(block.text)
            elif block.language == "sh":
                expected = following.text if following.language == "text" else None
                _take(tour, workers, block.text, expected)


def _take(tour: Tour, workers: ExitStack, script: str, expected: str | None) -> None:
    if any(line in script for line in NOT_HERE):
        return
    if script.startswith("larder worker"):
        workers.enter_context(tour.beside(script.strip()))
        return
    *before, last = script.strip().splitlines() if expected is not None else (script, "")
    code, output, said = tour.run("\n".join(before))
    assert code == 0, f"{before}: {output}{said}\n{tour.logs()}"
    if expected is not None:
        tour.until_printed(last, expected)


def test_every_python_block_is_python() -> None:
    for block in blocks(README):
        if block.language == "python":
            ast.parse(block.text)


def test_the_settings_are_those_of_the_program() -> None:
    assert table("Settings", "setting") == [
        [f"`{each.name}`", f"`{each.variable}`", _code(_default(each.default)), _escaped(each.about)]
        for each in SETTINGS
    ]


def test_the_metrics_are_those_of_the_program() -> None:
    assert table("Health and metrics", "metric") == [
        [f"`{each.name}`", each.kind, ", ".join(each.labels), each.meaning] for each in METRICS
    ]


def test_the_commands_are_those_of_the_program() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "larder", "--help"],
        cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True,
    ).stdout.partition("Commands:\n")[2]  # fmt: skip
    assert [name for name, _ in table("Commands", "command")] == [
        f"`larder {line.split()[0]}`" for line in listed.splitlines() if re.match(r"  \w", line)
    ]
    assert larder.name == "larder"


def test_the_benchmark_has_a_line_for_each_figure() -> None:
    assert [row[1] for row in table("Benchmarks", "what")] == [f"`{key.name}`" for key in KEYS]


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


def _default(value: object) -> str:
    return shown(value).replace(str(Path.home()), "~")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


def test_the_architecture_names_tests_and_modules_that_there_are() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = [
        path.as_posix() for folder in ("larder", "agents", "tables", "tests") for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    for named in re.findall(r"`([\w/]+\.py)`", text):
        assert any(module.endswith(f"/{named}") for module in modules), named
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for test in re.findall(r"`(test_\w+)`", text):
        assert f"def {test}(" in tests, test
