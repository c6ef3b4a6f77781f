"""What is wrong with a service, worst first, each with what to do.

Pure; from the answer of `GET /services?all=1`. Knows neither HTML nor where the data comes from. A trouble names a page
with details.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from larder.declaring.plurals import counted
from larder.observability.conditions import HeldBack, NotRunning, Severity, Shortage, worker_conditions
from larder.pages import totals
from larder.pages.call_troubles import call_troubles
from larder.pages.letter_troubles import letter_troubles
from larder.pages.partitions import unserved
from larder.pages.scaling import is_paused, scaling_troubles
from larder.pages.table_troubles import table_troubles
from larder.pages.trouble import Trouble
from larder.pages.wording import listed, number, several

Data = Mapping[str, Any]

# How many records an input may be behind before this is a trouble. A worker takes more than this in a second, so
# ordinary traffic stays below it.
LAG = 10_000


def troubles(services: Data) -> list[Trouble]:
    """Return all that is wrong with a service by the reports of its workers, worst first."""
    letters = [*letter_troubles(services)]
    found = [
        *(each for each in letters if each.severity is Severity.ERROR),
        *(each for status in totals.statuses(services) for each in _worker(status)),
        *_unknown(services),
        *_silent(services),
        *_unserved(services),
        *_held_back(services),
        *scaling_troubles(services),
        *table_troubles(services),
        *call_troubles(services),
        # While the service is being scaled, its inputs wait on purpose.
        *(() if is_paused(services) else _inputs(totals.inputs(services))),
        *(each for join in totals.joins(services) for each in _join(join)),
        *(each for operator in totals.others(services) for each in _refused(operator)),
        *(each for each in letters if each.severity is not Severity.ERROR),
    ]
    return sorted(found, key=lambda trouble: trouble.severity)


def _worker(status: Data) -> Iterator[Trouble]:
    worker = f"Worker {status['worker']}"
    for condition in worker_conditions(status):
        match condition:
            case NotRunning(severity, phase):
                what = f"{worker} is {phase}: it is not processing"
                do = "Its log says what it waits for: topics of other owners, the broker, or its group"
                yield Trouble(severity, what, do, "/services", "Worker")
            case Shortage(warning, severity):
                what = f"{worker} lacks resources but continues"
                yield Trouble(severity, what, warning[:1].upper() + warning[1:], "/services", "Worker")


def _unknown(services: Data) -> Iterator[Trouble]:
    if services["partition_counts"] and not services["workers_known"]:
        yield Trouble(
            Severity.WARNING,
            "The other workers of the service are not known",
            "The broker reports them once the group has settled. Reload in a moment",
            "/services",
            "Workers",
        )


def _silent(services: Data) -> Iterator[Trouble]:
    for name in totals.silent(services):
        yield Trouble(
            Severity.ERROR,
            f"Worker {name} does not answer",
            "Its state is not known here, and others take over when its session ends. Look at its log, "
            "then start it again",
            "/services",
            "Workers",
            f"larder worker {services['service']} --name {name}",
        )


def _unserved(services: Data) -> Iterator[Trouble]:
    for topic, absent in unserved(services):
        yield Trouble(
            Severity.ERROR,
            f"No worker serves {several(absent, 'partition')} {listed(absent)} of {topic}",
            f"{several(absent, 'Its', 'Their')} records wait until one does. Start a worker",
            "/services",
            "Workers",
            f"larder worker {services['service']} --name another",
        )


def _held_back(services: Data) -> Iterator[Trouble]:
    """Yield why workers hold inputs back; a reason that several of them report comes once."""
    found = [each for status in totals.statuses(services) for each in worker_conditions(status)]
    for problem, severity in sorted({each for each in found if isinstance(each, HeldBack)}):
        yield Trouble(
            severity,
            "Records are held back, and nothing is published for them",
            problem[:1].upper() + problem[1:],
            "/services",
            "Inputs",
        )


def _inputs(inputs: Sequence[Data]) -> Iterator[Trouble]:
    by_topic: dict[str, list[int]] = {}
    for each in inputs:
        by_topic.setdefault(each["topic"], []).append(each["lag"] or 0)
    for topic, lags in sorted(by_topic.items()):
        if sum(lags) > LAG:
            yield Trouble(
                Severity.WARNING,
                f"{topic} is {counted(sum(lags), 'record')} behind",
                "Results come late. If the lag grows, one more worker of this service helps",
                "/services",
                "Inputs",
            )


def _refused(operator: Data) -> Iterator[Trouble]:
    if refused := operator["counts"].get("refused", 0):
        yield Trouble(
            Severity.HINT,
            f"The {operator['kind']} on {operator['name']} refused {counted(refused, 'event')} since the workers"
            " started",
            "As declared. Each refusal has its reason",
            "/refusals",
            "Refusals",
        )


def _join(join: Data) -> Iterator[Trouble]:
    counts, waiting = join["counts"], join["waiting"]
    lost = counts["dropped"] + counts["passed_on"]
    if lost:
        yield Trouble(
            Severity.HINT,
            f"{number(lost)} {several(lost, 'record')} of {join['source']} "
            f"{several(lost, 'was', 'were')} passed on or dropped without a partner",
            "As the join declares. The missing keys are shown by partition",
            "/joins",
            "Joins",
        )
    if waiting:
        yield Trouble(
            Severity.HINT,
            f"{number(waiting)} {several(waiting, 'record')} of {join['source']} {several(waiting, 'waits', 'wait')} "
            "for a partner",
            "They are joined when it comes, or take the declared step when their time is over",
            "/joins",
            "Joins",
        )
