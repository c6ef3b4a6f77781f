"""What a service reads, keeps and writes, as nodes and edges: worked out from its declaration. Pure.

Rates come in, by the id of a node; a node without one has `None`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.declaring.facts import dead_letters_name, input_name, joined_name, waiting_name, wake_ups_name
from larder.declaring.topics import Rekeyed
from larder.declaring.topology import Role, topics_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from larder.declaring.decides import Decide
    from larder.declaring.joins import Join
    from larder.declaring.service import Service
    from larder.declaring.sources import Source

_Edge = tuple[str, str, str]


def topology(service: Service, rates: Mapping[str, float]) -> dict[str, Any]:
    """Give the nodes and edges of a service, each once, as GET /topology answers; rates are records a second."""
    nodes = [
        *(("topic", use.name) for use in topics_of(service) if Role.REPLAYS not in use.roles),
        *(("table", use.name) for use in service.tables),
        *(("join", join.name) for join in service.joins),
        *(("decide", decide.name) for decide in service.decides),
        *(("agent", reaction.name) for reaction in service.reactions),
        *(("agent", agent.name) for agent in service.agents),
    ]
    edges = dict.fromkeys(_edges(service))
    return {
        "nodes": [
            {"id": f"{kind}:{name}", "kind": kind, "name": name, "rate": rates.get(f"{kind}:{name}")}
            for kind, name in dict.fromkeys(nodes)
        ],
        "edges": [{"from": source, "to": to, "label": label} for source, to, label in edges],
    }


def _edges(service: Service) -> Iterator[_Edge]:
    for use in service.tables:
        yield f"topic:{use.topic.name}", f"table:{use.name}", ""
    for join in service.joins:
        yield from _of_join(service, join)
    for decide in service.decides:
        yield from _of_decide(service, decide)
    for reaction in service.reactions:
        name = f"agent:{reaction.name}"
        yield f"table:{reaction.table.name}", name, "changes"
        for topic in reaction.into:
            yield name, f"topic:{topic.name}", ""
    for agent in service.agents:
        yield f"topic:{agent.topic.name}", f"agent:{agent.name}", ""


def _of_source(service: Service, source: Source, to: str) -> Iterator[_Edge]:
    read = f"topic:{input_name(service, source)}"
    if isinstance(source, Rekeyed):
        yield f"topic:{source.source.name}", read, f"by {source.field}"
    yield read, to, ""


def _of_join(service: Service, join: Join) -> Iterator[_Edge]:
    name = f"join:{join.name}"
    yield from _of_source(service, join.source, name)
    for lookup in join.lookups:
        yield f"table:{lookup.table.name}", name, lookup.field or ""
    if join.gathers:
        gathered = f"topic:{joined_name(service.name, join)}"
        yield name, gathered, ""
        yield gathered, f"topic:{join.into.name}", ""
    else:
        yield name, f"topic:{join.into.name}", ""
    if join.wait is not None:
        waiting = f"topic:{waiting_name(service.name, join)}"
        yield name, waiting, "wait"
        yield waiting, name, "released"
    yield name, f"topic:{dead_letters_name(service.name)}", "parked"


def _of_decide(service: Service, decide: Decide) -> Iterator[_Edge]:
    name, state = f"decide:{decide.name}", decide.state.topic.name
    for source in decide.inputs:
        yield from _of_source(service, source, name)
    yield name, f"topic:{state}", ""
    yield f"table:{decide.state.name}", name, "row"
    for topic in decide.into:
        yield name, f"topic:{topic.name}", ""
    if decide.wakes:
        wakes = f"topic:{wake_ups_name(service.name, decide)}"
        yield name, wakes, "wake-ups"
        yield wakes, name, "due"
    if not decide.folds:
        yield name, f"topic:{service.refusals.name}", "refused"
    yield name, f"topic:{dead_letters_name(service.name)}", "parked"
