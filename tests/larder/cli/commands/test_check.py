"""`larder check`: the declarations of a project and their mistakes, without a broker."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

from larder.template.writing import write_project
from tests.support.workers import larder

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "127.0.0.1:1"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project("shop", tmp_path)


def test_check_prints_what_it_checked(project: Path) -> None:
    ended = larder("check", kafka=NOBODY, directory=project)
    assert ended.returncode == 0
    modules, topics, *services, last = ended.stdout.splitlines()
    assert modules.startswith("19 modules: tables.booking, ")
    assert topics.startswith("25 topics: ")
    assert "service orders: 2 tables, 2 requests, 1 decide" in services
    assert "service shipping: 2 tables, 1 join" in services
    assert last == "no mistakes"


def test_with_json_check_lists_the_names(project: Path) -> None:
    found = json.loads(larder("check", "--json", kafka=NOBODY, directory=project).stdout)
    assert (len(found["modules"]), len(found["topics"]), len(found["services"])) == (19, 25, 10)
    assert "agents.orders" in found["modules"]
    assert {"fulfilment", "orders", "shipping"} < set(found["services"])


def test_mistakes_in_services_and_in_unused_topics_are_all_reported(project: Path) -> None:
    (project / "tables" / "shelves.py").write_text(
        textwrap.dedent("""
        from larder import OwnerTopic, Row

        class Level(Row):
            product_id: str

        levels = OwnerTopic("shop.levels", Level, key="product", owner="stock")
        """)
    )
    shipping = project / "agents" / "shipping.py"
    shipping.write_text(shipping.read_text().replace('.on("product_id")', '.on("product")'))
    ended = larder("check", kafka=NOBODY, directory=project)
    assert ended.returncode == 2
    assert 'topic shop.levels: a key requires a field of Level; found "product"' in ended.stderr
    assert 'requires a field of Order; found "product"' in ended.stderr


def test_a_module_that_fails_to_import_is_reported(project: Path) -> None:
    (project / "agents" / "billing.py").write_text("import nothing_like_it\n")
    ended = larder("check", kafka=NOBODY, directory=project)
    assert ended.returncode == 2
    assert "module agents.billing: " in ended.stderr
