"""The results of seeds: whether each passed or failed on a state of the code, in a file that only grows."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

JUDGED = ("larder", "agents", "tables", "tests/faults", "tests/support", "requirements")
"""The files that a verdict depends on. If others change, seeds need not run again."""


def state_of_the_code(root: Path = ROOT) -> str:
    """Return the hash of the git tree of these files, including uncommitted changes."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(directory) / "index")}
        _git(root, environment, "add", "--", *JUDGED)
        return _git(root, environment, "write-tree")


def _git(root: Path, environment: dict[str, str], *arguments: str) -> str:
    command = ["git", *arguments]
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


class Results:
    """The lines of finished seeds. Those of other states of the code are kept but ignored."""

    def __init__(self, file: Path, state: str) -> None:
        self._file = file
        self._state = state
        self._known: dict[int, dict[str, Any]] = {}
        for line in file.read_text().splitlines() if file.exists() else ():
            found = json.loads(line)
            if found["state"] == state:
                self._known[found["seed"]] = found

    def line(self, seed: int) -> str | None:
        """Return the printed line of a finished seed, or None."""
        found = self._known.get(seed)
        return found and found["line"]

    def passed(self, seed: int) -> bool:
        return bool(self._known[seed]["passed"])

    def add(self, seed: int, line: str, *, passed: bool) -> None:
        self._known[seed] = {"state": self._state, "seed": seed, "passed": passed, "line": line}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps(self._known[seed]) + "\n")
