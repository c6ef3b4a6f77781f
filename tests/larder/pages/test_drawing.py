"""Nodes and edges as a drawing: pure."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from larder.pages.drawing import Box, Drawing, drawing
from larder.pages.layers import columns, ordered
from tests.larder.pages.samples import TOPOLOGY

_IDS = st.sampled_from("abcdefgh")
_EDGES = st.lists(st.tuples(_IDS, _IDS), max_size=20)


def node(name: str, **others: Any) -> dict[str, Any]:
    return {"id": name, "kind": "topic", "name": name, "rate": None} | others


def drawn(*edges: tuple[str, str]) -> Drawing:
    names = dict.fromkeys(name for edge in edges for name in edge)
    return drawing([node(name) for name in names], [{"from": a, "to": b, "label": ""} for a, b in edges])


def box_of(found: Drawing, name: str) -> Box:
    return next(box for box in found.boxes if box.id == name)


def test_topics_tables_joins_and_outputs_stand_from_left_to_right() -> None:
    found = drawing(TOPOLOGY["nodes"], TOPOLOGY["edges"])
    path = [box_of(found, name).x for name in ("t:customers", "customers", "join", "t:enriched")]
    assert path == sorted(set(path))


@given(_EDGES)
def test_every_edge_leads_to_the_right_unless_it_closes_a_circle(edges: list[tuple[str, str]]) -> None:
    found = columns(list("abcdefgh"), edges)
    level = {name: at for at, column in enumerate(found) for name in column}
    assert sorted(level) == list("abcdefgh")
    straight = {(a, b) for a, b in edges if level[a] < level[b]}
    for source, to in {(a, b) for a, b in edges if a != b} - straight:
        assert level[source] > level[to]
        assert _reaches(to, source, edges), "an edge leads back, and closes no circle"


def _reaches(source: str, to: str, edges: list[tuple[str, str]]) -> bool:
    seen, ahead = {source}, [source]
    for each in ahead:
        new = {b for a, b in edges if a == each} - seen
        seen |= new
        ahead += new
    return to in seen


@given(_EDGES)
def test_no_box_lies_on_another_and_all_lie_within_the_drawing(edges: list[tuple[str, str]]) -> None:
    found = drawn(*edges)
    for one, other in combinations(found.boxes, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y, (one, other)
    for box in found.boxes:
        assert 0 <= box.x <= box.x + box.width <= found.width
        assert 0 <= box.y <= box.y + box.height <= found.height


@given(_EDGES)
def test_every_edge_is_drawn_and_those_there_and_back_are_one_line(edges: list[tuple[str, str]]) -> None:
    pairs = {(a, b) for a, b in edges if a != b}
    lines = drawn(*edges).lines
    assert len(lines) == len({frozenset(pair) for pair in pairs})
    assert sum(line.forth + line.back for line in lines) == len(pairs)


def test_edges_do_not_cross_where_they_need_not() -> None:
    edges = [("a", "y"), ("b", "x"), ("c", "z")]
    left, right = ordered([["a", "b", "c"], ["x", "y", "z"]], edges)
    places = [(left.index(a), right.index(b)) for a, b in edges]
    assert sorted(places) == [(0, 0), (1, 1), (2, 2)]


def test_a_line_that_passes_a_column_goes_round_its_boxes() -> None:
    found = drawn(("a", "b"), ("b", "c"), ("a", "c"))
    between = box_of(found, "b")
    straight = [line.path for line in found.lines if "L" in line.path]
    assert len(straight) == 1
    _, height = map(float, re.findall(r"L([\d.]+) ([\d.]+)", straight[0])[0])
    assert not between.y <= height <= between.y + between.height


def test_a_long_name_keeps_its_end_and_is_whole_in_the_title() -> None:
    name = "company.department.team." + "orders" * 10
    (box,) = drawing([node(name)], []).boxes
    assert box.name.startswith("…")
    assert name.endswith(box.name[1:])
    assert box.whole == name


def test_names_are_drawn_without_what_most_begin_with_and_are_whole_in_the_title() -> None:
    found = drawing([node("shop.orders"), node("shop.customers"), node("shipping.dead-letters")], [])
    assert [box.name for box in found.boxes] == ["orders", "customers", "shipping.dead-letters"]
    assert found.boxes[0].whole == "shop.orders"
    assert found.beginning == "shop."


def test_names_that_would_be_the_same_without_their_beginning_keep_it() -> None:
    found = drawing([node("shop.orders"), node("shop.customers"), node("orders")], [])
    assert [box.name for box in found.boxes] == ["shop.orders", "shop.customers", "orders"]


def test_edges_of_nodes_that_are_not_there_are_left_out() -> None:
    assert drawing([node("a")], [{"from": "a", "to": "gone", "label": ""}]).lines == []


def test_labels_of_edges_between_the_same_two_stand_together() -> None:
    edges = [{"from": "a", "to": "b", "label": "x"}, {"from": "a", "to": "b", "label": "y"}]
    (label,) = drawing([node("a"), node("b")], edges).labels
    assert label.text == "x, y"


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawing([], []).boxes == []


def test_the_same_topology_gives_the_same_drawing() -> None:
    assert drawing(TOPOLOGY["nodes"], TOPOLOGY["edges"]) == drawing(TOPOLOGY["nodes"], TOPOLOGY["edges"])


def _require_apart(found: Drawing) -> None:
    for one, other in combinations(found.labels, 2):
        assert not one.overlaps(other), (one, other)
    for label in found.labels:
        assert label.bottom <= found.height
        for box in found.boxes:
            beside = label.right <= box.x or box.x + box.width <= label.left
            assert beside or label.bottom <= box.y or box.y + box.height <= label.top, (label, box)


@given(st.lists(st.tuples(_IDS, _IDS, st.text("mW", max_size=30)), max_size=30))
def test_no_label_lies_over_another_or_over_a_box(edges: list[tuple[str, str, str]]) -> None:
    told = [{"from": a, "to": b, "label": label} for a, b, label in edges]
    _require_apart(drawing([node(each) for each in "abcdefgh"], told))


@given(st.integers(1, 30))
def test_every_label_of_many_operators_on_one_topic_has_its_place(count: int) -> None:
    operators = [f"op-{number}" for number in range(count)]
    labelled = [
        *((each, "letters", "parked") for each in operators),
        *((each, f"{each}.waiting", "wait") for each in operators),
        *((f"{each}.waiting", each, "released") for each in operators),
        *(("customers", each, "customer_id") for each in operators),
    ]
    edges = [*labelled, *(("orders", each, "") for each in operators)]
    names = dict.fromkeys(name for source, to, _ in edges for name in (source, to))
    told = [{"from": a, "to": b, "label": label} for a, b, label in edges]
    found = drawing([node(name) for name in names], told)
    _require_apart(found)
    counted = Counter(label.text for label in found.labels)
    assert counted == dict.fromkeys(("parked", "wait →", "← released", "customer_id"), count)


def test_labels_there_and_back_of_one_line_say_in_which_direction() -> None:
    edges = [{"from": "a", "to": "b", "label": "wait"}, {"from": "b", "to": "a", "label": "released"}]
    found = drawing([node("a"), node("b")], edges)
    assert (len(found.lines), [label.text for label in found.labels]) == (1, ["wait →", "← released"])
    _require_apart(found)
