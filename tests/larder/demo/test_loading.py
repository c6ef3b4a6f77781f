"""Finding the demo of a project, and the errors if there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from larder.config.errors import MistakeError
from larder.demo.loading import project_demo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_directory_without_a_demo_is_refused_and_the_users_app_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('must not be imported')")
    with pytest.raises(MistakeError) as refused:
        project_demo("app.demo")
    assert str(refused.value) == (
        f"larder demo: requires a project that declares a Demo; found no {tmp_path / 'app' / 'demo.py'}; "
        "change to the directory of a project, or create one: larder new shop"
    )


def test_a_module_without_a_demo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stage_of_nothing.py").write_text("demo = None\n")
    with pytest.raises(MistakeError, match=r"found none in .*stage_of_nothing\.py; declare one there: demo = Demo"):
        project_demo("stage_of_nothing")
