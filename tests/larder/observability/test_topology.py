"""What a service reads, keeps and writes, as nodes and edges."""

from __future__ import annotations

from typing import Any

from agents.fulfilment import fulfilment
from agents.shipping import shipping
from larder import Decision, EventTopic, OwnerTopic, Row, Service
from larder.observability.topology import topology
from larder.pages.drawing import drawing


def edges(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["from"], each["to"], each["label"]) for each in found["edges"]}


def test_a_join_stands_between_what_it_reads_and_what_it_writes() -> None:
    found = topology(shipping, {"table:shop.customers": 3.5})
    name = shipping.joins[0].name
    assert edges(found) >= {
        ("topic:shop.customers", "table:shop.customers", ""),
        ("table:shop.customers", f"join:{name}", "customer_id"),
        ("table:shop.products", f"join:{name}", "product_id"),
        ("topic:shop.orders", f"join:{name}", ""),
        (f"join:{name}", f"topic:{shipping.joins[0].into.name}", ""),
        (f"join:{name}", "topic:shipping.dead-letters", "parked"),
    }
    assert {"wait", "released"} <= {label for _, _, label in edges(found)}
    rates = {each["id"]: each["rate"] for each in found["nodes"]}
    assert (rates["table:shop.customers"], rates["table:shop.products"]) == (3.5, None)


def test_rekeyed_events_go_by_their_internal_topic() -> None:
    internal = [each for each in edges(topology(fulfilment, {})) if each[2] == "by customer_id"]
    assert [source for source, _, _ in internal] == ["topic:shop.orders"]
    assert (internal[0][1], f"join:{fulfilment.joins[0].name}", "") in edges(topology(fulfilment, {}))


class Count(Row):
    item: str


class Stock(Row):
    item: str
    left: int
    revision: int


def test_a_decide_is_shown_with_the_row_that_it_reads_and_writes() -> None:
    counts = EventTopic("w.counts", Count, key="item", owner="x")
    service = Service("w")
    stock = service.table(OwnerTopic("w.stock", Stock, key="item", revision="revision"))

    @service.decide(counts, state=stock)
    def counted(event: Count, row: Stock | None) -> Decision:
        return Decision(row=row or Stock(item=event.item, left=0, revision=1))

    name = f"decide:{service.decides[0].name}"
    assert edges(topology(service, {})) >= {
        ("topic:w.counts", name, ""),
        (name, "topic:w.stock", ""),
        ("topic:w.stock", "table:w.stock", ""),
        ("table:w.stock", name, "row"),
    }


def test_every_edge_has_its_nodes_and_is_drawn() -> None:
    for service in (shipping, fulfilment):
        found = topology(service, {})
        names = [each["id"] for each in found["nodes"]]
        assert len(names) == len(set(names))
        assert {end for source, to, _ in edges(found) for end in (source, to)} <= set(names)
        assert len(drawing(found["nodes"], found["edges"]).boxes) == len(names)
