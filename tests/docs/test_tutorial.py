"""The tutorial works as it is printed: each file is written, each command is run, each output is compared."""

from __future__ import annotations

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

import pytest

from tests.support.documents import ROOT, Block, blocks, page

SECONDS = 60
"""How long a command of the tutorial is repeated until it prints what the page says."""

NAMES = ("library", "lending", "mailing")
"""What topics, services and a module of the tutorial are called; each run has names of its own."""

NOT_HERE = ("make install", "larder broker")
"""Lines of the tutorial that prepare a machine: the tests have a command and a broker already."""


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
        """Run a worker during the tour; it stops cleanly on a signal."""
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
def test_the_tutorial_works_as_it_is_printed(kafka: str, tmp_path: Path) -> None:
    text = page("tutorial")
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
