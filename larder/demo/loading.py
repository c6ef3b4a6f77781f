"""Finding the demo of the project in which the command runs: a module in the working directory, with one `Demo`."""

from __future__ import annotations

from pathlib import Path

from larder.config.errors import MistakeError
from larder.declaring.loading import import_from_project
from larder.declaring.problems import Problem
from larder.demo.declared import Demo


def project_demo(module: str) -> Demo:
    """Import `module` and give its `Demo`; raises `MistakeError` where there is none, `DeclarationError` otherwise."""
    file = Path.cwd().joinpath(*module.split(".")).with_suffix(".py")
    if not file.is_file():
        raise MistakeError(
            _problem(f"no {file}", "change into the directory of a project, or make one: larder new shop")
        )
    demos = [each for each in vars(import_from_project(module)).values() if isinstance(each, Demo)]
    if len(demos) != 1:
        raise MistakeError(_problem(f"{len(demos) or 'none'} in {file}", "declare one there: demo = Demo(...)"))
    return demos[0]


def _problem(found: str, do: str) -> Problem:
    return Problem("larder demo", "requires a project that declares a Demo", found, do)
