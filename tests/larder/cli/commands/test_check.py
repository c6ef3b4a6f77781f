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
    assert ended.stdout.splitlines() == [
        "3 modules: tables.shop, agents.fulfilment, agents.shipping",
        "5 topics: shop.customers, shop.orders, shop.fulfilments, shop.products, shop.enriched-orders",
        "service fulfilment: 1 table, 1 join",
        "service shipping: 2 tables, 1 join",
        "no mistakes",
    ]


def test_with_json_check_lists_the_names(project: Path) -> None:
    found = json.loads(larder("check", "--json", kafka=NOBODY, directory=project).stdout)
    assert (found["modules"][0], found["services"]) == ("tables.shop", ["fulfilment", "shipping"])
    assert len(found["topics"]) == 5


def test_mistakes_in_services_and_in_unused_topics_are_all_reported(project: Path) -> None:
    (project / "tables" / "stock.py").write_text(
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
