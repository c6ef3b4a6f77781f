"""Partitions by topic: their workers and their states, as the workers report them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from larder.pages import totals

Data = Mapping[str, Any]
_Held = dict[str, dict[int, list[str]]]


def by_topic(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return inputs with their partitions."""
    topics = sorted({each["topic"] for each in inputs})
    return [{"topic": topic, "partitions": [each for each in inputs if each["topic"] == topic]} for topic in topics]


def partition_map(services: Data) -> list[dict[str, Any]]:
    """Return each topic's partitions with their workers and states, as this worker and the others report them."""
    holders, standbys = _held(services, "partitions"), _held(services, "standby")
    # Topics that are neither tables nor inputs (those of waiting records, for instance) have workers, but no state.
    here = {
        (topic, each): "input"
        for topic, those in holders.items()
        for each in those
        if services["worker"] in those[each]
    }
    states = {**_elsewhere(services), **here, **_states(services)}
    silent = set(totals.silent(services))
    absent = "unserved" if services["workers_known"] else "unknown"
    return [
        {
            "topic": topic,
            "cells": [
                _cell(
                    partition,
                    states.get((topic, partition)),
                    holders.get(topic, {}).get(partition, []),
                    standbys.get(topic, {}).get(partition, []),
                    silent,
                    absent,
                )
                for partition in range(count)
            ],
        }
        for topic, count in sorted(_counts(services).items())
    ]


def unserved(services: Data) -> Iterator[tuple[str, list[int]]]:
    """Yield the topics with partitions that no worker has, with those; none while the workers are unknown."""
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


def _elsewhere(services: Data) -> dict[tuple[str, int], str]:
    """Return the partitions of other workers that are not caught up."""
    return {
        (table["table"], each["partition"]): each["phase"]
        for status in totals.statuses(services)[1:]
        for table in status["tables"]
        if table["held"] == "partition"
        for each in table["partitions"]
        if each["phase"] not in {"caught_up", "standby"}
    }


def _held(services: Data, kind: str) -> _Held:
    held: _Held = {}
    for worker in services["workers"]:
        for topic, partitions in worker[kind].items():
            for partition in partitions:
                held.setdefault(topic, {}).setdefault(partition, []).append(worker["worker"])
    return held


def _counts(services: Data) -> dict[str, int]:
    """Return the number of partitions by topic: as this worker knows it, or by the highest that any worker has."""
    counts = dict(services["partition_counts"])
    known = [*_states(services)]
    for kind in ("partitions", "standby"):
        known.extend((topic, partition) for topic, those in _held(services, kind).items() for partition in those)
    for topic, partition in known:
        counts[topic] = max(counts.get(topic, 0), partition + 1)
    return counts


def _cell(  # noqa: PLR0913, PLR0917 - what is known of a partition
    partition: int, phase: str | None, holders: list[str], standbys: list[str], silent: AbstractSet[str], absent: str
) -> dict[str, Any]:
    """Describe one partition: its workers, and its state as far as this worker knows."""
    kind = _kind(phase, holders, silent) or absent
    told = [_SAYS.get(kind, kind.replace("_", " "))]
    if holders:
        told.append("held by " + ", ".join(holders))
    if standbys:
        told.append("standby on " + ", ".join(standbys))
    return {"partition": partition, "kind": kind, "says": "; ".join(told)}


def _kind(phase: str | None, holders: Collection[str], silent: AbstractSet[str]) -> str:
    if phase in {None, "standby"} and not holders:
        return ""
    if holders and silent >= set(holders):
        return "no_answer"
    return phase or "elsewhere"


_SAYS = {
    "input": "processed here",
    "elsewhere": "on another worker",
    "no_answer": "on a worker that does not answer",
    "unserved": "not served by any worker",
    "unknown": "not on this worker",
}
