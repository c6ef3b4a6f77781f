"""One service, summed over the reports of its workers. Pure; from the answer of `GET /services?all=1`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from larder.observability import growths
from larder.observability.outcomes import CALL, JOIN, REQUEST, outcomes
from larder.observability.sums import summed
from larder.operators.calls.breaker import BreakerState

Data = Mapping[str, Any]

CLOSED = BreakerState.CLOSED.value

LEAST = 1_000
"""The share of dead letters is computed from at least this many records of an input, if it has as many."""


def statuses(services: Data) -> list[Data]:
    """Return the status of each worker that answered, that of the answering worker first."""
    return [services, *(each["told"] for each in services["workers"] if each.get("told"))]


def silent(services: Data) -> list[str]:
    """Return the names of the workers that did not answer."""
    return [each["worker"] for each in services["workers"] if each.get("phase") == "no answer"]


def joins(services: Data) -> list[Data]:
    """Return the joins with the counts of all workers."""
    return [each for each in _operators(services) if each["kind"] == JOIN]


def requests(services: Data) -> list[Data]:
    """Return the requests with the counts of all workers."""
    return [each for each in _operators(services) if each["kind"] == REQUEST]


def calls(services: Data) -> list[Data]:
    """Return the calls with the counts of all workers; `breakers` are those that are not closed, by worker."""
    return [{**each, **_over_workers(services, each["name"])} for each in _operators(services) if each["kind"] == CALL]


def _over_workers(services: Data, call: str) -> dict[str, Any]:
    said = [
        (status["worker"], each)
        for status in statuses(services)
        for each in outcomes(status)
        if (each["kind"], each["name"]) == (CALL, call)
    ]
    return {
        "oldest": min((each["oldest"] for _, each in said if each["oldest"] is not None), default=None),
        "full": sorted({partition for _, each in said for partition in each["full"]}),
        "breakers": {worker: each["breaker"]["state"] for worker, each in said if each["breaker"]["state"] != CLOSED},
    }


def others(services: Data) -> list[Data]:
    """Return all other operators, each with its kind, its name, and the counts of all workers."""
    return [each for each in _operators(services) if each["kind"] not in {CALL, JOIN, REQUEST}]


def _operators(services: Data) -> list[dict[str, Any]]:
    return summed(chain.from_iterable(map(outcomes, statuses(services))), "kind", "name")


def dead_letters(services: Data) -> list[Data]:
    """Return the inputs with dead letters since the workers started: records, dead letters, the most frequent cause."""
    said = [status["dead_letters"] for status in statuses(services) if "dead_letters" in status]
    inputs = summed(chain.from_iterable(each["inputs"] for each in said), "topic")
    causes = summed(chain.from_iterable(each["causes"] for each in said), "topic", "cause")
    return sorted(({**each, **_cause(each, causes)} for each in inputs), key=lambda each: str(each["topic"]))


def _cause(of: Data, causes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the most frequent cause of an input; nothing if no worker lists one for it."""
    counted = [each for each in causes if each["topic"] == of["topic"]]
    return {"cause": max(counted, key=lambda each: each["count"])["cause"]} if counted else {}


def unsettled(services: Data) -> list[Data]:
    """Return the topics with unsettled dead letters: how many, and the most frequent cause."""
    found = services.get("unsettled") or {"topics": [], "causes": [], "whole": True}
    causes = {each["topic"]: each["cause"] for each in reversed(found["causes"])}
    return [
        {**each, "whole": found["whole"], "cause": causes.get(each["topic"]), "records": _read_since(services, each)}
        for each in found["topics"]
    ]


def _read_since(services: Data, topic: Data) -> int:
    """Return how many records an input has had since its first unsettled letter, by its offsets; 0 if that is unknown.

    At least `LEAST`, if the input has as many: of a few records, one letter would be a large share.
    """
    positions: dict[int, int] = {
        each["partition"]: each["position"] for each in inputs(services) if each["topic"] == topic["topic"]
    }
    behind: int = sum(
        max(0, positions[int(part)] - at) for part, at in topic["since"].items() if int(part) in positions
    )
    return min(sum(positions.values()), max(LEAST, behind))


def growth(services: Data) -> dict[str, Any] | None:
    """Return where the growth of the service stands, with the progress of all workers; None if it was never scaled."""
    return growths.of_all(status.get("growth") for status in statuses(services))


def inputs(services: Data) -> list[dict[str, Any]]:
    """Return the inputs of all workers, each with its worker."""
    found = [{**each, "worker": status["worker"]} for status in statuses(services) for each in status["inputs"]]
    return sorted(found, key=lambda each: (each["topic"], each["partition"]))
