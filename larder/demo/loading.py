"""Finds the demo of a project: a module below the working directory that declares one `Demo`."""

from __future__ import annotations

from pathlib import Path

from larder.config.errors import MistakeError
from larder.declaring.loading import import_from_project
from larder.declaring.problems import Problem
from larder.demo.declared import Demo


def project_demo(module: str) -> Demo:
    """Import `module` and return its `Demo`. Raise `MistakeError` unless it has one, or `DeclarationError`."""
    file = Path.cwd().joinpath(*module.split(".")).with_suffix(".py")
    if not file.is_file():
        raise MistakeError(
            _problem(f"no {file}", "change to the directory of a project, or create one: larder new shop")
        )
    demos = [each for each in vars(import_from_project(module)).values() if isinstance(each, Demo)]
    if len(demos) != 1:
        raise MistakeError(_problem(f"{len(demos) or 'none'} in {file}", "declare one there: demo = Demo(...)"))
    return demos[0]


def _problem(found: str, do: str) -> Problem:
    return Problem("larder demo", "requires a project that declares a Demo", found, do)
