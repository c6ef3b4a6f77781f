"""What the workers on this machine report about themselves. Pure: answers in, findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.declaring.coordinates import Coordinates
from larder.declaring.facts import dead_letters_name
from larder.declaring.plurals import counted
from larder.doctor.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from larder.doctor.facts import System, WorkerState

AUDIT = "workers"


def workers(system: System) -> Iterator[Finding]:
    """Find foreign members of a group, and workers that are silent, wait, rejected rows, or diverge."""
    for name, group in system.groups.items():
        if group.foreign:
            yield Finding(
                Severity.ERROR,
                AUDIT,
                f"group {name}",
                f"members that are not workers of the service: {', '.join(group.foreign)}",
                "the broker admits only one kind of member to a group: it refuses workers, which exit at their start",
                ("stop these members, or give them another group",),
            )
    named = {service.name for service in system.services}
    for worker in system.workers:
        if worker.service in named:
            yield from _of(worker)


def _of(worker: WorkerState) -> Iterator[Finding]:
    about = f"worker {worker.worker} of {worker.service}"
    if worker.status is None:
        yield Finding(
            Severity.WARNING,
            AUDIT,
            about,
            "its process is alive, but its web port does not answer",
            "it may be stopped (SIGSTOP), or stuck",
            ("look at its log; kill it and start it again: nothing is lost",),
        )
        return
    phase = str(worker.status.get("phase", ""))
    if phase.startswith("waiting"):
        yield Finding(
            Severity.WARNING, AUDIT, about, phase, "it processes nothing until then", ("see the other findings",)
        )
    for warning in worker.status.get("warnings", ()):
        yield Finding(
            Severity.WARNING,
            AUDIT,
            about,
            warning,
            "a worker that cannot open more files exits, and clients have to wait for connections",
            ("do what it says, and restart the worker",),
        )
    for problem in worker.status.get("held_back", ()):
        yield Finding(
            Severity.ERROR,
            AUDIT,
            about,
            f"records are held back: {problem}",
            "the worker publishes nothing for them; nothing is lost",
            ("do what it says",),
        )
    for table in worker.status.get("tables", ()):
        yield from _table(about, worker, table)


def _table(about: str, worker: WorkerState, table: Mapping[str, Any]) -> Iterator[Finding]:
    name = table["table"]
    if fell := table.get("diverging"):
        yield Finding(
            Severity.ERROR,
            AUDIT,
            f"{about}, table {name}",
            f"diverging: key {fell['key']} came with revision {fell['revision']} after {fell['earlier_revision']}",
            "this copy, and one that is read later, may have different rows",
            (
                "fix the owner, and have it publish that row again with a higher revision",
                f"stop the worker, remove its store (tables/{worker.service}/{worker.worker}/{name}), and start it",
            ),
            (
                Coordinates(name, fell["partition"], fell["offset"]),
                Coordinates(name, fell["partition"], fell["earlier_offset"]),
            ),
        )
    if parked := table.get("parked"):
        yield Finding(
            Severity.WARNING,
            AUDIT,
            f"{about}, table {name}",
            f"{counted(parked, 'rejected record')}, {_kept(worker, table)}",
            "their rows are missing, or older than what their owner published",
            ("fix the owner as the worker's log says, and have it publish those rows again",),
        )


def _kept(worker: WorkerState, table: Mapping[str, Any]) -> str:
    """Say where rejected records are: in the store for a global table, in the dead letters for another."""
    if table["held"] == "global":
        return "kept in its store"
    if any(each["name"] == table["table"] for each in (worker.status or {}).get("decides", ())):
        return f"in {dead_letters_name(worker.service)}, without those that hold its decide back"
    return f"in {dead_letters_name(worker.service)}"
