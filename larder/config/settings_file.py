"""The file with the settings of a directory: larder.toml, or a table of pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

FILE_VARIABLE = "LARDER_CONFIG"
FILE_NAME = "larder.toml"
PROJECT_FILE = "pyproject.toml"


def settings_file(directory: Path) -> tuple[Path, dict[str, Any]]:
    """Return a directory's file, which need not exist, and its settings; raise `MistakeError` if there are two."""
    own, project = directory / FILE_NAME, directory / PROJECT_FILE
    table = _table(project) if project.is_file() else None
    if table is None:
        return own, read_toml(own) if own.is_file() else {}
    if own.is_file():
        found = f"{FILE_NAME}, and [tool.larder] in {PROJECT_FILE}"
        problem = Problem(f"settings of {directory.absolute()}", "require one file", found, "leave one of them out")
        raise MistakeError(problem)
    return project, table


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise `MistakeError` if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = Problem(
            f"settings file {path}",
            "requires TOML that can be read",
            str(error),
            f"fix the file, or leave out {FILE_VARIABLE}",
        )
        raise MistakeError(problem) from None


def _table(project: Path) -> dict[str, Any] | None:
    """Return `[tool.larder]` of a pyproject.toml, or None if it has none."""
    found = read_toml(project)
    for name in ("tool", "larder"):
        if name not in found:
            return None
        found = found[name]
        if not isinstance(found, dict):
            problem = Problem(f"settings file {project}", f"requires a table {name}", f"{found!r}", "fix the file")
            raise MistakeError(problem)
    return found
