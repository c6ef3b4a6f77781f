"""What the workers on this machine report about themselves. Pure: answers in, findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.declaring.coordinates import Coordinates
from larder.declaring.facts import dead_letters_name
from larder.declaring.plurals import counted
from larder.doctor.findings import Finding
from larder.observability import growths
from larder.observability.conditions import (
    BeingScaled,
    CallCondition,
    Condition,
    Diverging,
    FullCalls,
    HangingCalls,
    HeldBack,
    NotRunning,
    OpenBreaker,
    RejectedRows,
    Severity,
    Shortage,
    conditions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.doctor.facts import System, WorkerState

AUDIT = "workers"


def workers(system: System) -> Iterator[Finding]:
    """Find foreign members of a group, and workers that are silent, wait, rejected rows, diverge, or cannot call."""
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
    for condition in conditions(worker.status):
        yield from _shown(about, worker, condition)


def _shown(about: str, worker: WorkerState, condition: Condition) -> Iterator[Finding]:
    """Yield the finding for a condition of a worker: what it means, and what to do about it."""
    match condition:
        case NotRunning(severity, phase) if phase.startswith("waiting"):
            why = "it processes nothing until then"
            yield Finding(severity, AUDIT, about, phase, why, ("see the other findings",))
        case BeingScaled(growth, severity):
            seen = "being scaled" if growth is None else growths.line(growth)
            why = "its records wait until the new partitions begin, and lookups go on; nothing is lost"
            yield Finding(severity, AUDIT, about, seen, why, (f"wait, or follow it: larder scale {worker.service}",))
        case Shortage(warning, severity):
            why = "a worker that cannot open more files exits, and clients have to wait for connections"
            yield Finding(severity, AUDIT, about, warning, why, ("do what it says, and restart the worker",))
        case HeldBack(problem, severity):
            why = "the worker publishes nothing for them; nothing is lost"
            yield Finding(severity, AUDIT, about, f"records are held back: {problem}", why, ("do what it says",))
        case OpenBreaker() | HangingCalls() | FullCalls():
            yield _calls(about, worker, condition)
        case Diverging():
            yield _diverging(about, worker, condition)
        case RejectedRows(table, count, _, severity):
            yield Finding(
                severity,
                AUDIT,
                f"{about}, table {table}",
                f"{counted(count, 'rejected record')}, {_kept(worker, condition)}",
                "their rows are missing, or older than what their owner published",
                ("fix the owner as the worker's log says, and have it publish those rows again",),
            )


def _calls(about: str, worker: WorkerState, found: CallCondition) -> Finding:
    why, do = {
        OpenBreaker: (
            "its calls wait; they are given up when their time (retry.within) is over",
            "look at what it calls; the worker goes on by itself once a call succeeds",
        ),
        HangingCalls: (
            "each keeps one of the places for calls that run at once, and the calls of its key wait",
            "give what the function waits for a timeout; a restart frees the places",
        ),
        FullCalls: (
            "the events of these partitions wait in their topic; nothing is lost",
            f"see what the calls wait for: larder calls list {worker.service} {found.call}",
        ),
    }[type(found)]
    return Finding(found.severity, AUDIT, f"{about}, call {found.call}", found.why, why, (do,))


def _diverging(about: str, worker: WorkerState, condition: Diverging) -> Finding:
    table, fell, severity = condition
    return Finding(
        severity,
        AUDIT,
        f"{about}, table {table}",
        f"diverging: key {fell['key']} came with revision {fell['revision']} after {fell['earlier_revision']}",
        "this copy, and one that is read later, may have different rows",
        (
            "fix the owner, and have it publish that row again with a higher revision",
            f"stop the worker, remove its store (tables/{worker.service}/{worker.worker}/{table}), and start it",
        ),
        tuple(Coordinates(table, fell["partition"], fell[offset]) for offset in ("offset", "earlier_offset")),
    )


def _kept(worker: WorkerState, rejected: RejectedRows) -> str:
    """Return where rejected records are: in the store for a global table, in the dead letters for another."""
    if rejected.held == "global":
        return "kept in its store"
    if any(each["name"] == rejected.table for each in (worker.status or {}).get("decides", ())):
        return f"in {dead_letters_name(worker.service)}, without those that hold its decide back"
    return f"in {dead_letters_name(worker.service)}"
