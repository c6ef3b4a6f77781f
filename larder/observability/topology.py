"""What a service reads, keeps and writes, as nodes and edges derived from its declaration. Pure.

Rates are given by the id of a node; a node without one has `None`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.declaring.operators import REMOTE_TABLE, Edge, Role
from larder.declaring.topology import topics_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from larder.declaring.service import Service


def topology(service: Service, rates: Mapping[str, float]) -> dict[str, Any]:
    """Return each node and edge of a service once, as `GET /topology` answers; rates are records per second."""
    nodes = [
        *(("topic", use.name) for use in topics_of(service) if Role.REPLAYS not in use.roles),
        *(("table", use.name) for use in service.tables),
        *((REMOTE_TABLE, remote.name) for remote in service.asked),
        *((operator.kind, operator.name) for operator in service.operators),
    ]
    edges = dict.fromkeys(_edges(service))
    return {
        "nodes": [
            {"id": f"{kind}:{name}", "kind": kind, "name": name, "rate": rates.get(f"{kind}:{name}")}
            for kind, name in dict.fromkeys(nodes)
        ],
        "edges": [{"from": source, "to": to, "label": label} for source, to, label in edges],
    }


def _edges(service: Service) -> Iterator[Edge]:
    for use in service.tables:
        yield Edge(f"topic:{use.topic.name}", f"table:{use.name}")
    for operator in service.operators:
        yield from operator.edges(service.name)
