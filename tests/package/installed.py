"""The wheel in an environment of its own, with foreign packages named like the folders of a project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("larder", "app", "agents", "tables", "tests/app", "tests/agents", "pyproject.toml", "README.md", "LICENSE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
SECONDS = 240


class Installed:
    """An environment with the wheel. `here` is where its commands run: the checkout is not on any path."""

    def __init__(self, directory: Path) -> None:
        self.here = directory / "work"
        self.here.mkdir()
        self.wheel = _built_wheel(directory)
        self._bin = directory / "venv" / "bin"
        _do([sys.executable, "-m", "venv", "--without-pip", str(self._bin.parent)], directory)
        _do([*PIP, "--python", str(self.python), "install", "--no-index", "--no-deps", str(self.wheel)], directory)
        (site,) = self._bin.parent.glob("lib/python*/site-packages")
        # The environment of the tests provides the dependencies, after the packages installed here. Its links to the
        # checkout have no effect: Python reads .pth files only in an environment's own folder.
        (site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib"))
        for name in ("tables", "agents"):
            (site / name).mkdir()
            (site / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of another package')\n")
        (site / "app.py").write_text("raise RuntimeError('the app of another package')\n")

    @property
    def python(self) -> Path:
        return self._bin / "python"

    def larder(self, *arguments: str, directory: Path | None = None, path: Path | None = None) -> Ended:
        """Run the command, with `path` first in Python's search path."""
        return self.run([str(self._bin / "larder"), *arguments], directory, path)

    def run(self, command: list[str], directory: Path | None = None, path: Path | None = None) -> Ended:
        environment = _environment() | ({"PYTHONPATH": str(path)} if path else {})
        return _run(command, directory or self.here, environment)

    def demo(self, directory: Path) -> subprocess.Popen[str]:
        """Start a demo that runs until it is interrupted."""
        return subprocess.Popen(
            [str(self._bin / "larder"), "demo"],
            cwd=directory,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


Ended = subprocess.CompletedProcess[str]


def _built_wheel(directory: Path) -> Path:
    """Build in a copy: setuptools leaves files in the folder, and packs those left by an earlier build."""
    source, wheels = directory / "source", directory / "wheels"
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    _do([*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), "."], source)
    (wheel,) = wheels.iterdir()
    shutil.rmtree(source)
    return wheel


def _environment() -> dict[str, str]:
    """Return a user's environment, without settings of Larder and without a path to the checkout."""
    ours = ("LARDER_", "KAFKA", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"PYTHONUNBUFFERED": "1"}


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> Ended:
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def _do(command: list[str], directory: Path) -> None:
    ended = _run(command, directory, _environment())
    assert ended.returncode == 0, ended.stdout + ended.stderr
