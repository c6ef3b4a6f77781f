"""A topology as a drawing: boxes and lines with coordinates, from the nodes and edges of `GET /topology`.

Pure. Returns numbers and texts, which a template renders as SVG. Sizes are in SVG units; a character of a label takes
at most seven.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from larder.pages.labelling import GAP, Label, Labelled, Step, labels
from larder.pages.layers import Edge, columns, ordered

_LETTER, _PADDING = 7.3, 14.0
_NARROWEST, _WIDEST = 120.0, 230.0
_HEIGHT = 46.0
_BETWEEN_ROWS = 22.0
# A line that passes a column gets a place in it, so that it does not cross a box.
_PASSING = 10.0
_MARGIN = 12.0
# How often boxes are moved towards their neighbours; after that they hardly move.
_ALIGNMENTS = 8
# How far a drawing may shrink to fit its page: characters of twelve units are then nine pixels high.
_READABLE = 0.75


class Box(NamedTuple):
    """A node with its coordinates; `name` may be shortened, `whole` is not."""

    id: str
    kind: str
    name: str
    whole: str
    rate: float | None
    x: float
    y: float
    width: float
    height: float


class Line(NamedTuple):
    """A line from one box to another, or both ways: an SVG path from left to right."""

    path: str
    forth: bool
    back: bool


class Drawing(NamedTuple):
    """Everything to draw. Names of boxes are without their common `beginning`.

    `least` is the smallest legible width.
    """

    width: float
    height: float
    boxes: list[Box]
    lines: list[Line]
    labels: list[Label]
    beginning: str
    least: float


def drawing(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> Drawing:
    """Draw nodes and edges in columns from left to right, without edges of missing nodes."""
    beginning = _beginning({node["name"] for node in nodes})
    known = {node["id"]: {**node, "short": node["name"].removeprefix(beginning)} for node in nodes}
    texts = _texts(edges, known.keys())
    arrows = list(texts)
    found = columns(list(known), arrows)
    chains = _chains(found, arrows)
    steps = [step for chain in chains for step in pairwise(chain)]
    order = ordered(_with_passing(found, chains), steps)
    widths = [_width([known[each] for each in column if each in known]) for column in order]
    lefts = _lefts(widths)
    middles = _middles(order, steps, known.keys())
    place = {node: (lefts[at], middles[node], widths[at]) for at, column in enumerate(order) for node in column}
    boxes = [_box(known[node], *place[node]) for column in order for node in column if node in known]
    fans = Counter(chain[0] for chain in chains)
    lines = [_line(chain, place, texts) for chain in chains]
    found_labels = labels(
        Labelled(_steps(chain, place), _told(chain, texts), at_the_end=fans[chain[0]] > 1) for chain in chains
    )
    bottoms = [*(box.y + box.height for box in boxes), *(label.bottom for label in found_labels)]
    lowest = max([0.0, *bottoms, *(y for _, y, _ in place.values())])
    width = (lefts[-1] + widths[-1] if widths else 0.0) + _MARGIN
    return Drawing(width, lowest + _MARGIN, boxes, lines, found_labels, beginning, width * _READABLE)


def _beginning(names: Collection[str]) -> str:
    """Return the common beginning, up to a dot, whose omission saves most characters; "" if names would then clash."""
    counts = Counter(name[: at + 1] for name in names for at, letter in enumerate(name[:-1]) if letter == ".")
    shared = [(count * len(beginning), beginning) for beginning, count in counts.items() if count > 1]
    _, beginning = max(shared, default=(0, ""))
    return beginning if len({name.removeprefix(beginning) for name in names}) == len(names) else ""


def _texts(edges: Sequence[Mapping[str, Any]], known: Collection[str]) -> dict[Edge, str]:
    """Return the texts of edges between existing nodes, by pair, without edges from a node to itself."""
    found: dict[Edge, list[str]] = {}
    for edge in edges:
        if edge["from"] in known and edge["to"] in known and edge["from"] != edge["to"]:
            found.setdefault((edge["from"], edge["to"]), []).append(edge.get("label") or "")
    return {edge: ", ".join(filter(None, dict.fromkeys(labels))) for edge, labels in found.items()}


def _chains(found: Sequence[Sequence[str]], arrows: Sequence[Edge]) -> list[list[str]]:
    """Return the route of each edge, from left to right: its ends, and a place in each column between.

    Edges in both directions are one.
    """
    level = {node: at for at, column in enumerate(found) for node in column}
    ends = dict.fromkeys((source, to) if level[source] < level[to] else (to, source) for source, to in arrows)
    return [
        [left, *(f"\0{left}\0{right}\0{at}" for at in range(level[left] + 1, level[right])), right]
        for left, right in ends
    ]


def _with_passing(found: Sequence[Sequence[str]], chains: Sequence[Sequence[str]]) -> list[list[str]]:
    level = {node: at for at, column in enumerate(found) for node in column}
    order = [list(column) for column in found]
    for chain in chains:
        for step, node in enumerate(chain[1:-1], start=level[chain[0]] + 1):
            order[step].append(node)
    return order


def _width(nodes: Sequence[Mapping[str, Any]]) -> float:
    longest = max((len(node["short"]) for node in nodes), default=0)
    return min(_WIDEST, max(_NARROWEST, longest * _LETTER + 2 * _PADDING))


def _lefts(widths: Sequence[float]) -> list[float]:
    lefts, at = [], _MARGIN
    for width in widths:
        lefts.append(at)
        at += width + GAP
    return lefts


def _middles(order: Sequence[Sequence[str]], steps: Sequence[Edge], boxes: Collection[str]) -> dict[str, float]:
    """Return the vertical middle of each node: near its neighbours, in the order of its column, without overlaps."""
    tall = {node: _HEIGHT if node in boxes else _PASSING for column in order for node in column}
    near: dict[str, list[str]] = {}
    for left, right in steps:
        near.setdefault(left, []).append(right)
        near.setdefault(right, []).append(left)
    middles: dict[str, float] = {}
    for column in order:
        middles.update(_apart(column, [0.0] * len(column), tall))
    for _ in range(_ALIGNMENTS):
        for column in order:
            wanted = [_mean([middles[each] for each in near.get(node, ())], middles[node]) for node in column]
            middles.update(_apart(column, wanted, tall))
    top = min((middles[node] - tall[node] / 2 for node in middles), default=0.0)
    return {node: middle - top + _MARGIN for node, middle in middles.items()}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(column: Sequence[str], wanted: Sequence[float], tall: Mapping[str, float]) -> dict[str, float]:
    """Place nodes close to their preferred places: push them down in order, then move them back as a whole."""
    placed: list[float] = []
    for at, node in enumerate(column):
        lowest = placed[-1] + tall[column[at - 1]] / 2 + _BETWEEN_ROWS + tall[node] / 2 if placed else wanted[at]
        placed.append(max(wanted[at], lowest))
    shift = _mean([want - got for want, got in zip(wanted, placed, strict=True)], 0.0)
    return {node: middle + shift for node, middle in zip(column, placed, strict=True)}


def _box(node: Mapping[str, Any], x: float, middle: float, width: float) -> Box:
    whole = node["name"]
    letters = round((width - 2 * _PADDING) / _LETTER)
    # The end of a topic's name is more telling than its beginning.
    short = node["short"]
    name = short if len(short) <= letters else "…" + short[-(letters - 1) :]
    return Box(node["id"], node["kind"], name, whole, node.get("rate"), x, middle - _HEIGHT / 2, width, _HEIGHT)


def _line(chain: Sequence[str], place: Mapping[str, tuple[float, float, float]], arrows: Mapping[Edge, str]) -> Line:
    """Draw a curve through the places of a chain: straight where it passes a column, bent between columns."""
    path = ""
    for step in _steps(chain, place):
        bend, end = step.x + GAP / 2, step.x + GAP
        path += f" L{step.x:.1f} {step.y:.1f} " if path else f"M{step.x:.1f} {step.y:.1f} "
        path += f"C{bend:.1f} {step.y:.1f} {bend:.1f} {step.to_y:.1f} {end:.1f} {step.to_y:.1f}"
    return Line(path, (chain[0], chain[-1]) in arrows, (chain[-1], chain[0]) in arrows)


def _steps(chain: Sequence[str], place: Mapping[str, tuple[float, float, float]]) -> list[Step]:
    """Return the parts of a line between columns."""
    found = [(place[one], place[other]) for one, other in pairwise(chain)]
    return [Step(left + width, y, to_y) for (left, y, width), (_, to_y, _) in found]


def _told(chain: Sequence[str], texts: Mapping[Edge, str]) -> list[str]:
    """Return the label of a line; if the line leads both ways, each text names its direction."""
    forth, back = texts.get((chain[0], chain[-1])), texts.get((chain[-1], chain[0]))
    if forth is None or back is None:
        return [text for text in (forth, back) if text]
    return [*([f"{forth} →"] if forth else []), *([f"← {back}"] if back else [])]
