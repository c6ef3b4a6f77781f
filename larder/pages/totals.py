"""One service, out of what each of its workers says of itself. Pure; from what `GET /services?all=1` answers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from larder.observability.outcomes import JOIN, outcomes
from larder.observability.sums import summed

Data = Mapping[str, Any]

LEAST = 1_000
"""A share of letters is taken over at least so many records of an input, if it has them."""


def told(services: Data) -> list[Data]:
    """Give what each worker says of itself, the one that answers first."""
    return [services, *(each["told"] for each in services["workers"] if each.get("told"))]


def silent(services: Data) -> list[str]:
    """Give the workers that were asked in vain."""
    return [each["worker"] for each in services["workers"] if each.get("phase") == "no answer"]


def joins(services: Data) -> list[Data]:
    """Give the joins with the counts of all workers."""
    return [each for each in _operators(services) if each["kind"] == JOIN]


def others(services: Data) -> list[Data]:
    """Give all operators but joins, each with its kind in one word, its name, and the counts of all workers."""
    return [each for each in _operators(services) if each["kind"] != JOIN]


def _operators(services: Data) -> list[dict[str, Any]]:
    return summed(chain.from_iterable(map(outcomes, told(services))), "kind", "name")


def dead_letters(services: Data) -> list[Data]:
    """Give the inputs with dead letters since the workers started: records, dead letters, the most frequent cause."""
    said = [status["dead_letters"] for status in told(services) if "dead_letters" in status]
    inputs = summed(chain.from_iterable(each["inputs"] for each in said), "topic")
    causes = summed(chain.from_iterable(each["causes"] for each in said), "topic", "cause")
    return sorted(({**each, **_cause(each, causes)} for each in inputs), key=lambda each: str(each["topic"]))


def _cause(of: Data, causes: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the most frequent cause of an input; its own where that is none of the most frequent of any worker."""
    counted = [each for each in causes if each["topic"] == of["topic"]]
    return {"cause": max(counted, key=lambda each: each["count"])["cause"]} if counted else {}


def unsettled(services: Data) -> list[Data]:
    """Give the topics whose dead letters nobody has settled, each with how many, and the most frequent cause."""
    found = services.get("unsettled") or {"topics": [], "causes": [], "whole": True}
    causes = {each["topic"]: each["cause"] for each in reversed(found["causes"])}
    return [
        {**each, "whole": found["whole"], "cause": causes.get(each["topic"]), "records": _read_since(services, each)}
        for each in found["topics"]
    ]


def _read_since(services: Data, topic: Data) -> int:
    """Give of how many of the newest records of an input the letters are, as its offsets tell; 0 where nobody knows.

    Of the first letter on; but of `LEAST` records at least, where there are so many: one letter is no share.
    """
    positions: dict[int, int] = {
        each["partition"]: each["position"] for each in inputs(services) if each["topic"] == topic["topic"]
    }
    behind: int = sum(
        max(0, positions[int(part)] - at) for part, at in topic["since"].items() if int(part) in positions
    )
    return min(sum(positions.values()), max(LEAST, behind))


def inputs(services: Data) -> list[dict[str, Any]]:
    """Give the inputs of all workers, each with who has it."""
    found = [{**each, "worker": status["worker"]} for status in told(services) for each in status["inputs"]]
    return sorted(found, key=lambda each: (each["topic"], each["partition"]))
