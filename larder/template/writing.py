"""Writing a new project: copies the files of the template into a new directory and fills in the project's name.

Tables, services, demo and tests in `files` are links to the application of the repository. A wheel contains the files
themselves.
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
    """Yield the path and the text of each file. The text contains {{name}} in place of the project's name."""
    for path in sorted(_files(FILES)):
        place = path.relative_to(FILES)
        # In `files` the name has no dot, or git would apply it to the template itself.
        yield Path(".gitignore") if place.name == "gitignore" else place, path.read_text(encoding="utf-8")


def write_project(name: str, into: Path) -> Path:
    """Write a project into the new directory `name` in `into`, and return its path. Raise `MistakeError`."""
    directory = into / name
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        requires = f"must be at most {LONGEST_NAME} of a-z and 0-9, a letter first, with single hyphens between"
        raise MistakeError(_problem(requires, repr(name), "choose such a name, as in larder new corner-shop"))
    try:
        directory.mkdir()
        for place, text in template():
            file = directory / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("{{name}}", name), encoding="utf-8")
    except FileExistsError as error:
        do = "choose another name, or remove it"
        raise MistakeError(_problem("must not exist yet", str(directory), do)) from error
    except OSError as error:
        do = "change to another directory"
        raise MistakeError(_problem(f"requires a writable {into}", error.strerror or str(error), do)) from error
    return directory


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder except Python's caches. rglob would not follow links."""
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif path.name != "__pycache__":
            yield from _files(path)


def _problem(requires: str, found: str, do: str) -> Problem:
    return Problem("larder new", requires, found, do)
