"""Partitions by topic: which there are, in whose hands, and how they are, as one worker knows it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Data = Mapping[str, Any]
_Held = dict[str, dict[int, list[str]]]


def by_topic(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the inputs of a worker with their partitions."""
    topics = sorted({each["topic"] for each in inputs})
    return [{"topic": topic, "partitions": [each for each in inputs if each["topic"] == topic]} for topic in topics]


def partition_map(services: Data) -> list[dict[str, Any]]:
    """Give each topic's partitions with who has them and how they are: what is known here, and what others told."""
    holders, standbys = _held(services, "partitions"), _held(services, "standby")
    # What is neither a table nor an input of ours (orders that wait, for instance) is known by who has it alone.
    here = {
        (topic, each): "input"
        for topic, those in holders.items()
        for each in those
        if services["worker"] in those[each]
    }
    states, told = here | _states(services), bool(services.get("workers"))
    return [
        {
            "topic": topic,
            "cells": [
                _cell(
                    partition,
                    states.get((topic, partition)),
                    holders.get(topic, {}).get(partition, []),
                    standbys.get(topic, {}).get(partition, []),
                    "unserved" if told else "unknown",
                )
                for partition in range(count)
            ],
        }
        for topic, count in sorted(_counts(services).items())
    ]


def unserved(services: Data) -> Iterator[tuple[str, list[int]]]:
    """Give the topics of which no worker has some partitions, with those; none while no worker is told of."""
    for topic in partition_map(services):
        absent = [cell["partition"] for cell in topic["cells"] if cell["kind"] == "unserved"]
        if absent:
            yield topic["topic"], absent


def _states(services: Data) -> dict[tuple[str, int], str]:
    inputs = {(each["topic"], each["partition"]): "input" for each in services["inputs"]}
    return inputs | {
        (table["table"], each["partition"]): each["phase"]
        for table in services["tables"]
        for each in table["partitions"]
    }


def _held(services: Data, kind: str) -> _Held:
    held: _Held = {}
    for worker in services.get("workers", ()):
        for topic, partitions in worker.get(kind, {}).items():
            for partition in partitions:
                held.setdefault(topic, {}).setdefault(partition, []).append(worker["worker"])
    return held


def _counts(services: Data) -> dict[str, int]:
    """Give how many partitions each topic has: as told, or else up to the highest that anybody has."""
    counts = dict(services.get("partition_counts", {}))
    known = [*_states(services)]
    for kind in ("partitions", "standby"):
        known.extend((topic, partition) for topic, those in _held(services, kind).items() for partition in those)
    for topic, partition in known:
        counts[topic] = max(counts.get(topic, 0), partition + 1)
    return counts


def _cell(partition: int, phase: str | None, holders: list[str], standbys: list[str], otherwise: str) -> dict[str, Any]:
    """Say how one partition is: in whose hands, and in which state as far as it is known here."""
    kind = phase or ("elsewhere" if holders else otherwise)
    told = [_SAYS.get(kind, kind.replace("_", " "))]
    if holders:
        told.append("held by " + ", ".join(holders))
    if standbys:
        told.append("standby on " + ", ".join(standbys))
    return {"partition": partition, "kind": kind, "says": "; ".join(told)}


_SAYS = {
    "input": "processed here",
    "elsewhere": "on another worker",
    "unserved": "served by nobody",
    "unknown": "not on this worker",
}
