"""Transactions that do not end: no reader gets past them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from larder.declaring.coordinates import Coordinates
from larder.doctor.facts import duration
from larder.doctor.findings import Finding
from larder.kafka.open_transactions import behind
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.doctor.facts import System

AUDIT = "transactions"

LONG_SECONDS: Final = 30.0
"""The broker ends a worker's transaction after 10 s, so one that has been open for this long needs attention."""


def open_transactions(system: System, long: float = LONG_SECONDS) -> Iterator[Finding]:
    """Find transactions that have been open for `long` seconds, or for an unknown time."""
    for tp, found in system.open_transactions.items():
        since = None if found.began is None else max(0.0, system.now_ms / 1000 - found.began)
        if since is None or since >= long:
            problem = behind(tp, found, system.bootstrap)
            began = "for an unknown time" if since is None else f"for {duration(round(since))}"
            yield Finding(
                Severity.WARNING,
                AUDIT,
                problem.declared,
                f"an open transaction, {began}: {found.whose}",
                "no reader gets past it: the partition stalls, and restarting a worker does not change that",
                (problem.do,),
                (Coordinates(tp.topic, tp.partition, found.offset),),
            )
