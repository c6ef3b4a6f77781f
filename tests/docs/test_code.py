"""Python on the pages runs: block after block, as on the page, and prints what the page says it prints."""

from __future__ import annotations

import contextlib
import io
import sys
from itertools import pairwise
from types import ModuleType

import pytest

from larder import Service
from larder.declaring.checks.declarations import problems
from tests.docs import preludes
from tests.support.documents import DOCS, ROOT, Block, blocks, documents

PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in documents()
    if path != DOCS / "tutorial.md" and any(each.language == "python" for each in blocks(path.read_text("utf-8")))
]


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"page_{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(preludes.OF_PAGES.get(name, ""), module.__dict__)  # noqa: S102 - the pages are our own
    text = (ROOT / name).read_text(encoding="utf-8")
    for block, following in pairwise([*blocks(text), Block("", "")]):
        if block.language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(block.text, module.__dict__)  # noqa: S102 - the pages are our own
            if printed.getvalue():
                assert following == Block("text", printed.getvalue())
    assert not problems([each for each in vars(module).values() if isinstance(each, Service)])
