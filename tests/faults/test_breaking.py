"""Each break still applies to the code. With one that does not, the suite would seem blind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.breaking import BREAKS, broken_copy
from tests.faults.results import ROOT


@pytest.mark.parametrize("name", sorted(file.stem for file in BREAKS.glob("*.toml")))
def test_each_break_applies_to_the_code(name: str, tmp_path: Path) -> None:
    copy = broken_copy(name, tmp_path / name)
    broken = [each for each in copy.rglob("*.py") if each.read_text() != (ROOT / each.relative_to(copy)).read_text()]
    assert broken
    for module in broken:
        compile(module.read_text(), module, "exec")
