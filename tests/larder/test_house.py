"""The house of `ARCHITECTURE.md`: names that a reader cannot mistake, and rooms that say what they are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import larder

HOUSE = Path(larder.__file__).parent
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(HOUSE.rglob("*.py"))}


def test_a_class_has_a_name_of_its_own() -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, module in MODULES.items():
        for each in module.body:
            if isinstance(each, ast.ClassDef):
                found[each.name].append(path.relative_to(HOUSE).as_posix())
    assert not {name: paths for name, paths in found.items() if len(paths) > 1}


def test_each_room_says_in_its_first_line_what_it_is() -> None:
    folders = [path for path in HOUSE.rglob("*") if path.is_dir() and not path.is_symlink()]
    rooms = [folder for folder in folders if any(folder.glob("*.py"))]
    assert rooms
    for room in rooms:
        told = ast.get_docstring(MODULES[room / "__init__.py"]) or ""
        assert told.splitlines()[:1], room


def test_the_architecture_lists_the_rooms_in_the_order_of_their_imports() -> None:
    """From top to bottom, as the linter holds it."""
    project = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [name for layer in layers for name in re.findall(r"\w+", layer) if (HOUSE / name).is_dir()]
    assert re.findall(r"^    (\w+)/", (HOUSE.parent / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE) == rooms
