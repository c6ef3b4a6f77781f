"""`larder contexts` for the shipped application."""

from __future__ import annotations

import msgspec
import pytest
from click.testing import CliRunner

from larder.cli.commands.contexts import command
from tests.support.documents import blocks, page
from tests.support.workers import ROOT


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LARDER_MODULES", raising=False)


def test_the_lines_of_the_page_are_those_of_the_command() -> None:
    printed = CliRunner().invoke(command, catch_exceptions=False).stdout.splitlines()
    (shown,) = [
        each.text.splitlines() for each in blocks(page("explanation/contexts")) if each.text.startswith("delivery:")
    ]
    assert shown[-1] == "..."
    assert printed[: len(shown) - 1] == shown[:-1]


def test_programs_get_the_same_as_json() -> None:
    found = msgspec.json.decode(CliRunner().invoke(command, ["--json"], catch_exceptions=False).stdout)["contexts"]
    assert [each["context"] for each in found] == ["delivery", "sales"]
    (read,) = found[0]["remote_reads"]
    assert (read["service"], read["table"], read["of"], read["call"]) == (
        "mailing", "warehouse.histories", "shipments", "send",
    )  # fmt: skip
    assert found[1]["remote_reads"] == []
