"""Writing a new project: the files of the template, with a name, into a directory that is made for them.

Tables, services, demo and tests in `files` are links to the application of the repository: a wheel has them as they
are there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES: Final = Path(__file__).with_name("files")
NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME: Final = 64


def template() -> Iterator[tuple[Path, str]]:
    """Give the files of a project: where each belongs, and its text, with {{name}} where its name goes."""
    for path in sorted(_files(FILES)):
        place = path.relative_to(FILES)
        # Under its own name it would keep files of the template out of the repository.
        yield Path(".gitignore") if place.name == "gitignore" else place, path.read_text(encoding="utf-8")


def write_project(name: str, into: Path) -> Path:
    """Write a project into the directory `name` of `into`; gives that. Raises `MistakeError`."""
    directory = into / name
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        requires = f"requires at most {LONGEST_NAME} of a-z and 0-9, a letter first, and single hyphens between"
        raise MistakeError(_problem(requires, repr(name), "choose such a name, as larder new corner-shop"))
    try:
        directory.mkdir()
        for place, text in template():
            file = directory / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("{{name}}", name), encoding="utf-8")
    except FileExistsError as error:
        do = "choose another name, or remove it"
        raise MistakeError(_problem("requires a name that nothing has", str(directory), do)) from error
    except OSError as error:
        do = "choose another directory to work in"
        raise MistakeError(_problem(f"requires to be written in {into}", error.strerror or str(error), do)) from error
    return directory


def _files(folder: Path) -> Iterator[Path]:
    """Give the files below a folder; Python's own are left out. rglob does not follow links."""
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif path.name != "__pycache__":
            yield from _files(path)


def _problem(requires: str, found: str, do: str) -> Problem:
    return Problem("larder new", requires, found, do)
