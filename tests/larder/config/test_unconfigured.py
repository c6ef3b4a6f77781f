"""Errors for missing and unknown declarations say where modules were searched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from larder.cli.main import larder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory, without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.partition(".")[0] in {"agents", "tables"}]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("LARDER_MODULES", "LARDER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "arguments",
    [("worker", "mine"), ("doctor", "mine"), ("joins", "mine"), ("get", "my.table", "c1"), ("publish", "my.topic")],
)
def test_a_directory_without_modules_and_settings_is_reported(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(larder, arguments)
    assert answer.exit_code == 2
    assert f"directory {tmp_path}: larder requires modules that declare services; found none" in answer.stderr


def test_an_unknown_name_is_reported_with_where_modules_were_searched(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "own.py").write_text("from larder import Service\nmine = Service('mine')\n")
    answer = CliRunner().invoke(larder, ["worker", "yours"])
    assert answer.exit_code == 2
    where = f"(in {tmp_path}: there is no {tmp_path / 'larder.toml'}, and LARDER_MODULES is not set)"
    assert f"found none of that name, but mine {where}" in answer.stderr


def test_a_module_without_a_service_is_refused_with_its_topics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain_rows.py").write_text(
        "from dataclasses import dataclass\nfrom larder import OwnerTopic\n"
        "@dataclass\nclass Customer:\n    customer_id: str\n"
        "customers = OwnerTopic('my.customers', Customer, key='customer_id', owner='crm')\n"
    )
    monkeypatch.setenv("LARDER_MODULES", "plain_rows")
    answer = CliRunner().invoke(larder, ["services"])
    assert answer.exit_code == 2
    assert "topic my.customers: a row type requires fields that can be read from a JSON object" in answer.stderr
    assert "Customer'>, which is no row type; subclass tables.Row" in answer.stderr
    assert "module plain_rows: larder requires a Service; found topic my.customers, and no service" in answer.stderr
