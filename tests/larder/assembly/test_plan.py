"""What a plan contains about the topics of a service."""

from __future__ import annotations

from collections import defaultdict

from larder import Decision, Drop, EventTopic, OwnerTopic, Row, Service, Wait
from larder.assembly.plan import plan
from larder.declaring.checks.declarations import TopicFacts
from larder.declaring.generations import Generation, placed
from larder.types import Near, WakeUp


class Sold(Row):
    sale_id: str
    product_id: str


class Level(Row):
    product_id: str
    left: int = 0
    revision: int = 0


class Sale(Sold):
    revision: int


def events(name: str) -> EventTopic:
    return EventTopic(name, Sold, key="product_id", owner="shop")


def test_a_state_is_read_by_its_decide_by_joins_and_by_decides_that_read_near() -> None:
    service = Service("stock")
    levels = service.table(OwnerTopic("levels", Level, key="product_id", owner="stock"))
    others = service.table(OwnerTopic("others", Level, key="product_id", owner="stock"))
    followed = service.table(OwnerTopic("followed", Level, key="product_id", owner="shop"))

    @service.decide(events("sales"), state=levels)
    def sell(event: Sold, level: Level | None) -> Decision:
        del event, level
        return Decision()

    @service.decide(events("returns"), state=others)
    def take_back(event: Sold, level: Level | None, near: Near) -> Decision:
        del event, level, near
        return Decision()

    service.join(events("orders"), levels.on("product_id"), into=EventTopic("a", Sold, key="sale_id", owner="stock"))
    service.join(events("views"), followed.on("product_id"), into=EventTopic("b", Sold, key="sale_id", owner="stock"))
    planned = plan(service, defaultdict(lambda: TopicFacts(4, "delete", 1, "id")))
    assert {name: planned.states_of(name) for name in planned.inputs} == {
        "sales": ["levels"], "returns": ["levels", "others"], "orders": ["levels"], "views": [],
    }  # fmt: skip
    assert {name: sorted(planned.tables_of(name)) for name in planned.inputs} == {
        "sales": [], "returns": ["followed", "levels", "others"], "orders": ["levels"], "views": ["followed"],
    }  # fmt: skip


def test_an_input_and_its_replays_need_every_row_kept_for_its_records() -> None:
    service = Service("stock")
    levels = service.table(OwnerTopic("levels", Level, key="product_id", owner="stock"))
    followed = service.table(OwnerTopic("followed", Level, key="product_id", owner="shop"))
    rows = OwnerTopic("rows", Sale, key="sale_id", revision="revision", owner="shop")

    @service.decide(events("sales"), state=levels)
    def sell(event: Sold | WakeUp, level: Level | None) -> Decision:
        del event, level
        return Decision()

    service.join(
        events("views"), followed.on("product_id"), into=EventTopic("b", Sold, key="sale_id", owner="stock"),
        missing=Wait(seconds=1).then(Drop),
    )  # fmt: skip
    service.join(
        rows.by("product_id"), followed.on("product_id"),
        into=OwnerTopic("c", Sale, key="sale_id", revision="revision", owner="stock"),
    )  # fmt: skip
    facts = TopicFacts(4, "delete", 1, "id")
    planned = plan(service, defaultdict(lambda: facts, {"stock.sales.replays": facts}))
    needed = {name: planned.needed_whole(name) for name in planned.inputs}
    assert needed["sales"] == needed["stock.sales.replays"] == ["levels", "stock.levels.wake-ups"]
    assert needed["views"] == ["stock.b.waiting"]
    assert needed["rows"] == ["stock.rows.by.product_id.keys"]


def test_the_passages_of_a_scaled_service_include_those_of_earlier_generations() -> None:
    service = Service("stock")
    levels = service.table(OwnerTopic("levels", Level, key="product_id", owner="shop"))
    sales = EventTopic("sales", Sold, key="sale_id", owner="shop").by("product_id")
    service.join(sales, levels.on("product_id"), into=EventTopic("a", Sold, key="sale_id", owner="stock"))
    third = Generation(3, {"sales": 4, "levels": 8, sales.name_in("stock"): 8}, {})
    planned = plan(placed(service, third), defaultdict(lambda: TopicFacts(8, "delete", 1, "id")))
    by_product = {name for name in planned.passages if "sales" in name}
    first = sales.name_in("stock")
    assert by_product == {first, f"{first}.g2", f"{first}.g3"}
