"""One service, out of what each of its workers says of itself. Pure; from what `GET /services?all=1` answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

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
    return _summed(services, "joins")


def decides(services: Data) -> list[Data]:
    """Give the decides with the counts of all workers."""
    return _summed(services, "decides")


def others(services: Data) -> list[Data]:
    """Give all operators but joins, each with its kind in one word, its name, and the counts of all workers."""
    return [
        *({"kind": "fold" if each["folds"] else "decide", **each} for each in decides(services)),
        *({"kind": "reaction", "name": each["table"], **each} for each in _summed(services, "reactions", "table")),
        *({"kind": "agent", **each} for each in _summed(services, "agents")),
        *_summed(services, "operators"),
    ]


def dead_letters(services: Data) -> list[Data]:
    """Give the inputs with dead letters since the workers started: records, dead letters, the most frequent causes."""
    found: dict[str, dict[str, Any]] = {}
    for said in (status["dead_letters"] for status in told(services) if "dead_letters" in status):
        for each in said["inputs"]:
            known = found.setdefault(each["topic"], {"records": 0, "dead_letters": 0, "causes": Counter()})
            known["records"] += each["records"]
            known["dead_letters"] += each["dead_letters"]
            known["causes"][each["cause"]] += 0  # it may be none of the most frequent ones of the worker
        for each in said["causes"]:
            found[each["topic"]]["causes"][each["cause"]] += each["count"]
    return [
        {"topic": topic, **each, "causes": dict(each["causes"].most_common())} for topic, each in sorted(found.items())
    ]


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


def _summed(services: Data, kind: str, name: str = "name") -> list[Data]:
    found: dict[str, Data] = {}
    for status in told(services):
        # A worker of before says nothing of kinds that it did not know.
        for each in status.get(kind, ()):
            known = found.get(each[name])
            found[each[name]] = each if known is None else _sum(known, each)
    return list(found.values())


def _sum(one: Data, other: Data) -> Data:
    counts = {name: count + other["counts"].get(name, 0) for name, count in one["counts"].items()}
    waiting = {"waiting": one["waiting"] + other["waiting"]} if "waiting" in one else {}
    return {**one, "counts": counts, **waiting}
