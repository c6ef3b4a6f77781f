"""Loading services from a project or by name, and all errors."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from larder.declaring.loading import FOLDERS, load_services, project_modules
from larder.types import DeclarationError

ROOT = Path(__file__).resolve().parents[3]
SERVICE = 'from larder import Service\nmine = Service("{}")\n'


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty directory, and forget what was imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.partition(".")[0] in FOLDERS]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refused(*modules: str) -> str:
    with pytest.raises(DeclarationError) as caught:
        load_services(modules)
    return str(caught.value)


def test_without_names_the_modules_of_the_working_directory_are_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert {"tables.shop", "agents.shipping", "agents.fulfilment"} <= set(project_modules())
    assert {"shipping", "fulfilment"} <= set(load_services())


def test_a_module_that_is_named_is_found_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "my_services.py").write_text(SERVICE.format("own"))
    assert list(load_services(["my_services"])) == ["own"]


def test_a_module_in_a_package_of_the_user_is_found(tmp_path: Path) -> None:
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "posting.py").write_text(SERVICE.format("posting"))
    assert list(load_services(["my_package.posting"])) == ["posting"]


def test_every_failed_import_is_reported_with_file_line_and_exception(tmp_path: Path) -> None:
    (tmp_path / "raising_one.py").write_text("x = 1\ny = x / 0\n")
    (tmp_path / "spelt_badly.py").write_text("x = 1\n\ndef\n")
    (tmp_path / "leaving_one.py").write_text("import sys\nsys.exit(3)\n")
    found = refused("raising_one", "spelt_badly", "leaving_one", "not_there_at_all", "agents.shipping")
    assert len(found.splitlines()) == 4
    assert f"ZeroDivisionError: division by zero ({tmp_path / 'raising_one.py'}, line 2)" in found
    assert f"({tmp_path / 'spelt_badly.py'}, line 3)" in found
    assert f"SystemExit: 3 ({tmp_path / 'leaving_one.py'}, line 2)" in found
    assert "module not_there_at_all" in found
    assert "ModuleNotFoundError: No module named 'not_there_at_all' (looked for in " in found
    assert str(tmp_path) in found


def test_a_nested_failure_of_an_import_is_reported_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "outer_one.py").write_text("\nimport inner_one\n")
    (tmp_path / "inner_one.py").write_text("\n\nimport nothing_like_it\n")
    assert f"'nothing_like_it' ({tmp_path / 'inner_one.py'}, line 3)" in refused("outer_one")


def test_a_module_without_a_service_is_refused_unless_it_declares_topics(tmp_path: Path) -> None:
    (tmp_path / "empty_one.py").write_text("x = 1\n")
    (tmp_path / "only_topics.py").write_text(
        "from larder import EventTopic, Row\nclass R(Row):\n    k: str\nt = EventTopic('t', R, key='k')\n"
    )
    assert f"requires a Service; found none in {tmp_path / 'empty_one.py'}" in refused("empty_one")
    assert load_services(["only_topics"]) == {}


def test_two_services_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "first_one.py").write_text(SERVICE.format("twice"))
    (tmp_path / "second_one.py").write_text(SERVICE.format("twice"))
    assert "service twice: a service name requires one declaration; found another one in second_one" in refused(
        "first_one", "second_one"
    )


def test_a_service_that_two_modules_share_is_one_service(tmp_path: Path) -> None:
    (tmp_path / "sharing_one.py").write_text(SERVICE.format("shared"))
    (tmp_path / "sharing_two.py").write_text("from sharing_one import mine\n")
    assert list(load_services(["sharing_one", "sharing_two"])) == ["shared"]


def test_a_file_that_a_library_hides_is_reported_with_both_paths(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text(SERVICE.format("hidden"))
    found = refused("colorsys")
    assert f"which hides {tmp_path / 'colorsys.py'}; rename the file" in found


def test_foreign_packages_do_not_hide_the_folders_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("agents", "tables"):
        (tmp_path / "others" / name).mkdir(parents=True)
        (tmp_path / "others" / name / "__init__.py").write_text(f"raise RuntimeError('the {name} of somebody else')")
        (tmp_path / "project" / name).mkdir(parents=True)
    (tmp_path / "project" / "tables" / "shelves.py").write_text(
        "from larder import EventTopic, Row\nclass Book(Row):\n    isbn: str\n"
        "books = EventTopic('b', Book, key='isbn')\n"
    )
    (tmp_path / "project" / "tables" / "money.py").write_text("CURRENCY = 'EUR'\n")
    (tmp_path / "project" / "agents" / "lending.py").write_text(
        "from tables.shelves import books\n" + SERVICE.format("own")
    )
    (tmp_path / "project" / "app.py").write_text("raise RuntimeError('not asked for')")
    monkeypatch.syspath_prepend(tmp_path / "others")
    monkeypatch.chdir(tmp_path / "project")
    assert list(load_services()) == ["own"]


def test_a_foreign_package_is_imported_if_the_project_has_no_such_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "others" / "tables").mkdir(parents=True)
    (tmp_path / "others" / "tables" / "__init__.py").write_text("name = 'own'\n")
    (tmp_path / "tables").mkdir()
    (tmp_path / "mine.py").write_text("import tables\nfrom larder import Service\nservice = Service(tables.name)\n")
    monkeypatch.syspath_prepend(tmp_path / "others")
    assert list(load_services(["mine"])) == ["own"]


def test_a_directory_without_modules_is_refused(tmp_path: Path) -> None:
    assert (
        f"directory {tmp_path}: larder requires modules that declare services; found none in the folders" in refused()
    )
