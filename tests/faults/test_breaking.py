"""What is broken on purpose is still there to be broken: a break that does not apply would let the suite seem blind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.breaking import BREAKS, broken_copy
from tests.faults.results import ROOT


@pytest.mark.parametrize("name", sorted(file.stem for file in BREAKS.glob("*.toml")))
def test_the_code_can_be_broken_as_each_break_says(name: str, tmp_path: Path) -> None:
    copy = broken_copy(name, tmp_path / name)
    broken = [each for each in copy.rglob("*.py") if each.read_text() != (ROOT / each.relative_to(copy)).read_text()]
    assert broken
    for module in broken:
        compile(module.read_text(), module, "exec")
