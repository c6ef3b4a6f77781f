"""The documents hold together: links lead somewhere, the index has every page, code is code, names exist."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tests.support.documents import DOCS, ROOT, anchors, blocks, documents, links, page

LONGEST = 250
"""Lines of the longest page: a longer one has two subjects."""


def test_links_lead_somewhere() -> None:
    for document in documents():
        text = document.read_text(encoding="utf-8")
        for link in links(text):
            path, _, anchor = link.partition("#")
            if link.startswith("http"):
                continue
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), (document, link)
            if anchor:
                assert anchor in anchors(target.read_text(encoding="utf-8")), (document, link)


def test_the_index_has_every_page() -> None:
    index = DOCS / "index.md"
    listed = {(DOCS / link).resolve() for link in links(index.read_text(encoding="utf-8"))}
    assert set(DOCS.rglob("*.md")) - {index} <= listed


def test_no_page_is_long() -> None:
    for document in documents():
        assert len(document.read_text(encoding="utf-8").splitlines()) <= LONGEST, document


def test_every_python_block_is_python() -> None:
    for document in documents():
        for block in blocks(document.read_text(encoding="utf-8")):
            if block.language == "python":
                ast.parse(block.text)


def test_each_scenario_names_the_files_of_its_tests() -> None:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for line in re.findall(
            r'^@pytest\.mark\.scenario\("([\d.]+)"\)', path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            found[line].add(f"`{path.name}`")
    said = re.findall(r"^\| (\d+\.\d+) \| .* \| (`.*`) \|$", page("design/scenarios"), re.MULTILINE)
    assert {line: set(files.split(", ")) for line, files in said} == found


def test_modules_and_tests_that_documents_name_exist() -> None:
    folders = ("larder", "app", "agents", "tables", "tests")
    modules = [path.as_posix() for folder in folders for path in ROOT.glob(f"{folder}/**/*.py")]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for document in documents():
        text = document.read_text(encoding="utf-8")
        for named in re.findall(r"`([\w/]+\.py)`", text):
            assert any(module.endswith(f"/{named}") for module in modules), (document, named)
        for test in re.findall(r"`(test_\w+)`", text):
            assert f"def {test}(" in tests, (document, test)


def test_rules_and_pages_that_the_code_cites_exist() -> None:
    pages = [page(f"design/{name}") for name in ("correctness", "correctness-tables", "correctness-scaling")]
    rules = set(re.findall(r"^### (\d+)\.", "".join(pages), re.MULTILINE))
    code = [
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
        *(ROOT / "larder").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
    ]
    texts = [path.read_text(encoding="utf-8") for path in code]
    cited = {number for text in texts for number in re.findall(r"\brule (\d+)\b", text)}
    assert cited
    assert cited <= rules
    for name in {name for text in texts for name in re.findall(r"\b(?:docs/[\w/-]+|[A-Z]{5,})\.md\b", text)}:
        assert (ROOT / name).exists(), name
