"""Assigns nodes of a graph to columns, in an order with few crossings.

Pure and deterministic. Edges that would lead back to the left are reversed first. Knows no sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Edge = tuple[str, str]

# Sweeps over the columns, there and back; more than a few change nothing.
_SWEEPS = 6


def columns(nodes: Sequence[str], edges: Iterable[Edge]) -> list[list[str]]:
    """Return the nodes by column. An edge leads to the right, or back if it closes a cycle."""
    forward = _without_circles(nodes, [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1]])
    level = _levels(nodes, forward)
    found: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for node in nodes:
        found[level[node]].append(node)
    return found


def ordered(found: Sequence[Sequence[str]], edges: Sequence[Edge]) -> list[list[str]]:
    """Order each column by the positions of its nodes' neighbours, so that few edges cross."""
    order = [list(column) for column in found]
    for sweep in range(_SWEEPS):
        to_the_right = sweep % 2 == 0
        near = _neighbours(edges if to_the_right else [(to, source) for source, to in edges])
        for at in range(1, len(order)) if to_the_right else range(len(order) - 2, -1, -1):
            beside = order[at - 1 if to_the_right else at + 1]
            places = {node: place for place, node in enumerate(beside)}
            order[at] = _by_neighbours(order[at], near, places)
    return order


def _by_neighbours(column: list[str], near: Mapping[str, list[str]], places: Mapping[str, int]) -> list[str]:
    def weight(item: tuple[int, str]) -> float:
        place, node = item
        known = [places[each] for each in near.get(node, ()) if each in places]
        return sum(known) / len(known) if known else float(place)

    return [node for _, node in sorted(enumerate(column), key=weight)]


def _neighbours(edges: Iterable[Edge]) -> dict[str, list[str]]:
    near: dict[str, list[str]] = {}
    for source, to in edges:
        near.setdefault(to, []).append(source)
    return near


def _without_circles(nodes: Sequence[str], edges: Sequence[Edge]) -> list[Edge]:
    """Reverse the edges that close a cycle in a depth-first walk."""
    after: dict[str, list[str]] = {}
    for source, to in edges:
        after.setdefault(source, []).append(to)
    entered = {to for _, to in edges}
    found: list[Edge] = []
    done: set[str] = set()
    for first in [*(node for node in nodes if node not in entered), *nodes]:
        if first in done:
            continue
        path, steps = {first}, [(first, iter(after.get(first, ())))]
        while steps:
            node, following = steps[-1]
            to = next(following, "")
            if not to:
                steps.pop()
                done.add(node)
                path.remove(node)
            elif to in path:
                found.append((to, node))
            else:
                found.append((node, to))
                if to not in done:
                    path.add(to)
                    steps.append((to, iter(after.get(to, ()))))
    return found


def _levels(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return the column of each node: one to the right of its last predecessor."""
    before = _neighbours(edges)
    open_before = {node: len(set(before.get(node, ()))) for node in nodes}
    after = _neighbours((to, source) for source, to in dict.fromkeys(edges))
    level = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not open_before[node]]
    for node in ready:
        for to in after.get(node, ()):
            level[to] = max(level[to], level[node] + 1)
            open_before[to] -= 1
            if not open_before[to]:
                ready.append(to)
    return level
