"""Modules that tests write, so that a worker and the test itself use the same declarations."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def imported(text: str, directory: Path) -> ModuleType:
    """Write a module and import it."""
    path = directory / "in_memory.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("in_memory", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
