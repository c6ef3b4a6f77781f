"""New projects: exactly the files of this repository's application."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from larder.config.errors import MistakeError
from larder.template.writing import write_project

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("tables", "agents", "app", "tests/agents", "tests/app")


def _texts(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for folder in FOLDERS
        for path in (directory / folder).glob("*.py")
    }


def test_a_project_has_the_files_of_the_application(tmp_path: Path) -> None:
    found = _texts(write_project("corner-shop", tmp_path))
    assert found == _texts(ROOT)
    assert found


def test_a_project_has_its_name_and_needs_the_installed_version(tmp_path: Path) -> None:
    project = write_project("corner-shop", tmp_path)
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert declared["name"] == "corner-shop"
    assert Requirement(declared["dependencies"][0]).specifier.contains(version("larder-streams"))
    assert not [path for path in project.rglob("*") if path.is_file() and "{{" in path.read_text()]
    assert ".larder/" in (project / ".gitignore").read_text()


@pytest.mark.parametrize("name", ["", "Shop", "my shop", "../shop", "2nd", "shop-", "a--b", "a" * 65])
def test_a_name_that_a_distribution_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MistakeError, match="larder new: must be at most 64 of a-z and 0-9"):
        write_project(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(MistakeError, match=r"must not exist yet; found .*/shop; choose another name"):
        write_project("shop", tmp_path)
    assert list((tmp_path / "shop").iterdir()) == []


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MistakeError, match=r"requires a writable .*; found No such file or directory"):
        write_project("shop", tmp_path / "gone")
