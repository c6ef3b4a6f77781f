"""The wheel in an environment of its own, beside packages that have the names of a project's folders."""

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
        _run([sys.executable, "-m", "venv", "--without-pip", str(self._bin.parent)], directory)
        _run([*PIP, "--python", str(self.python), "install", "--no-index", "--no-deps", str(self.wheel)], directory)
        (site,) = self._bin.parent.glob("lib/python*/site-packages")
        # What larder needs lies in the environment of the tests, behind what is installed here. Its links to the
        # checkout play no part: Python reads .pth files of an environment's own folder alone.
        (site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib"))
        for name in ("tables", "agents"):
            (site / name).mkdir()
            (site / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of somebody else')\n")
        (site / "app.py").write_text("raise RuntimeError('the app of somebody else')\n")

    @property
    def python(self) -> Path:
        return self._bin / "python"

    def larder(self, *arguments: str, directory: Path | None = None, path: Path | None = None) -> Ended:
        """Run the command; `path` comes first where Python looks for packages."""
        return self.run([str(self._bin / "larder"), *arguments], directory, path)

    def run(self, command: list[str], directory: Path | None = None, path: Path | None = None) -> Ended:
        environment = {name: value for name, value in os.environ.items() if name != "KAFKA" and "LARDER_" not in name}
        environment.pop("PYTHONPATH", None)
        environment |= {"PYTHONPATH": str(path)} if path else {}
        return subprocess.run(
            command,
            cwd=directory or self.here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


Ended = subprocess.CompletedProcess[str]


def _built_wheel(directory: Path) -> Path:
    """Build in a copy: setuptools leaves files in its folder, and takes those that it left before."""
    source, wheels = directory / "source", directory / "wheels"
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    _run([*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), "."], source)
    (wheel,) = wheels.iterdir()
    shutil.rmtree(source)
    return wheel


def _run(command: list[str], directory: Path) -> None:
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
