"""Why a service cannot be scaled now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from larder.assembly.plan import ServicePlan
from larder.declaring.generations import Generation, placed
from larder.declaring.problems import Problem
from larder.declaring.service import Service
from larder.declaring.topology import topics_of
from larder.group.peers import Peer
from larder.worker.new_partitions import not_multiplied
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics

LONGEST_NAME = 249
"""The longest name of a topic that Kafka takes."""

MOST_PARTITIONS = 10_000
"""More in one service are a mistake rather than a wish: each one is a topic's partition, times the tables."""


def problems(
    runtime: Runtime, plan: ServicePlan, topics: ServiceTopics, peers: Sequence[Peer], new: Generation
) -> list[str]:
    """Return why the service cannot get the generation `new`."""
    return [str(each) for each in _problems(runtime, plan, topics, peers, new)]


def _problems(
    runtime: Runtime, plan: ServicePlan, topics: ServiceTopics, peers: Sequence[Peer], new: Generation
) -> Iterator[Problem]:
    placement, counts = topics.placement.problems, topics.partition_counts
    service, declared = plan.service, f"service {plan.service.name}"
    wanted = next(iter(new.counts.values()), 0)
    if not 1 <= wanted <= MOST_PARTITIONS:
        requires = f"requires between 1 and {MOST_PARTITIONS} partitions"
        yield Problem(declared, requires, str(wanted), "choose another number")
        return
    generation = service.generation
    if generation is not None and set(generation.counts.values()) == {wanted} and not placement:
        found = f"{wanted} partitions already, and no topic that has grown"
        yield Problem(declared, "is scaled to another number of partitions", found, "choose another number")
    if runtime.options.guarantee != "exactly_once":
        requires = 'is scaled with guarantee = "exactly_once" only: a copy that is repeated would count twice'
        yield Problem(declared, requires, f'"{runtime.options.guarantee}"', "remove the setting")
    if older := sorted(peer.worker for peer in peers if not peer.knows_growth):
        yield older_workers(service.name, older)
    places = {each.source.name for each in service.rekeyed if each.moves}
    yield from (placement[name] for name in sorted(placement.keys() & {*topics.placement.own, *places}))
    for name in sorted(placement.keys() & set(new.reacted)):
        yield Problem(
            f"table {name} in {service.name}",
            "reacts to changes, which it finds in the partition of a row",
            f"rows that have moved, since {name} has grown",
            "start the service under a new name, or remove its reactions to that table",
        )
    for name, before in new.filled.items():
        if (now := counts.get(name, before)) % before:
            yield not_multiplied(name, before, now)
    yield from _left_behind(plan.service, new)
    yield from _long_names(runtime, new)


def older_workers(service: str, workers: Sequence[str]) -> Problem:
    """Return the problem of workers of a version that knows no generations."""
    found = f"{', '.join(workers)} of an older version"
    return Problem(f"service {service}", "requires workers that know generations", found, "update these workers first")


def _left_behind(service: Service, new: Generation) -> Iterator[Problem]:
    """Yield the tables that are read near the rows of a decide now, and would not be in the new partitions."""
    if any(decide.reads_near for decide in service.decides):
        for use in service.tables:
            if use.held == "partition" and use.name not in new.counts:
                yield Problem(
                    f"table {use.name} in {service.name}",
                    "is read near the rows of a decide, in the same partitions",
                    "no join or decide that places it",
                    "join a source with it, or hold it as a global table",
                )


def _long_names(runtime: Runtime, new: Generation) -> Iterator[Problem]:
    for use in topics_of(placed(runtime.declared, new)):
        if use.internal and len(use.name) > LONGEST_NAME:
            requires = f"requires a name of at most {LONGEST_NAME} characters"
            yield Problem(f"topic {use.name}", requires, str(len(use.name)), "choose shorter names")
