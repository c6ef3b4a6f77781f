"""Troubles with the tables of a service. Pure; from the answer of `GET /services?all=1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from larder.declaring.plurals import counted
from larder.observability.conditions import Diverging, RejectedRows, Severity, table_conditions
from larder.pages import totals
from larder.pages.scaling import is_paused
from larder.pages.trouble import Trouble
from larder.pages.wording import duration, listed, number, several

Data = Mapping[str, Any]

# Seconds since a partition was last at its end before this is a trouble: meanwhile ends are fetched many times.
AGE = 30.0


def table_troubles(services: Data) -> Iterator[Trouble]:
    """Yield the troubles with tables; one that several workers report, as of a global table, comes once."""
    said: set[str] = set()
    paused = is_paused(services)
    for status in totals.statuses(services):
        where = "" if status is services else f" on {status['worker']}"
        for trouble in (each for table in status["tables"] for each in _table(table, paused=paused)):
            if trouble.what not in said:
                said.add(trouble.what)
                yield trouble._replace(what=trouble.what + where)


def _table(table: Data, *, paused: bool) -> Iterator[Trouble]:
    yield from _states(table)
    yield from _old(table, paused=paused)
    for condition in table_conditions(table):
        yield _shown(condition)
    if building := table["building"]:
        yield Trouble(
            Severity.HINT,
            f"{table['table']} builds {several(building, 'an index', 'indexes')}: {listed(building)}",
            "Lookups by it work once it is built",
            f"/tables/{table['table']}",
            "Table",
        )


def _shown(condition: Diverging | RejectedRows) -> Trouble:
    """Put a condition into words."""
    if isinstance(condition, Diverging):
        name, fell = condition.table, condition.fell
        what = (
            f"{name} is diverging: the revision of {fell['key']} fell from {fell['earlier_revision']} "
            f"to {fell['revision']} (partition {fell['partition']}, offset {fell['offset']})"
        )
        do = (
            "Workers may have different rows of it. Fix the owner, have it publish the row again, "
            "then remove the stores of this table"
        )
    else:
        name, count = condition.table, condition.records
        invalid = several(count, "is not a valid row", "are not valid rows")
        what = f"{number(count)} {several(count, 'record')} of {name} {invalid}"
        do = "They change nothing here. The log has their coordinates and causes. Fix them at their owner"
    return Trouble(condition.severity, what, do, f"/tables/{name}", "Table")


def _states(table: Data) -> Iterator[Trouble]:
    name, partitions = table["table"], table["partitions"]
    for phase, severity, says, do in _PHASES:
        those = [each for each in partitions if each["phase"] == phase]
        if those:
            numbers = [each["partition"] for each in those]
            yield Trouble(
                severity,
                f"{name}: {several(numbers, 'partition')} {listed(numbers)} {several(numbers, 'is', 'are')} {says}",
                (_going(those) if phase == "recovering" else "") or do,
                "/recovery",
                "Recovery",
            )


def _old(table: Data, *, paused: bool) -> Iterator[Trouble]:
    """Yield that rows may be old; while the service is `paused`, nobody fills mirrors."""
    ages = [each["freshness_s"] or 0 for each in table["partitions"] if each["phase"] in {"caught_up", "standby"}]
    if max(ages, default=0) > AGE:
        yield Trouble(
            Severity.HINT if paused else Severity.WARNING,
            f"{table['table']}: rows may be {duration(max(ages))} old",
            "A table that is mirrored gets no new rows while the service is being scaled"
            if paused
            else "The worker was last at the end of the topic that long ago: it is overloaded, or it hangs",
            f"/tables/{table['table']}",
            "Table",
        )


_PHASES = (
    (
        "disconnected",
        Severity.ERROR,
        "without a broker",
        "Answers come from the last local copy and report its age; records wait. Check that the broker is reachable",
    ),
    ("recovering", Severity.WARNING, "recovering", "Joins with them wait until they are caught up"),
    (
        "starting",
        Severity.WARNING,
        "not measured yet",
        "The broker has not reported their ends yet; this takes about a second",
    ),
)


def _going(partitions: Sequence[Data]) -> str:
    """Describe the progress of partitions that are behind; empty if it is unknown."""
    left = sum(each["remaining"] or 0 for each in partitions)
    ends = [each["expected_s"] for each in partitions]
    if not left:
        return ""
    end = "no expected end yet" if None in ends else f"done in about {duration(max(ends))}"
    return f"{counted(left, 'offset')} left, {end}. Joins with them wait until then"
