"""Transactions that do not end: nobody reads past them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from larder.declaring.coordinates import Coordinates
from larder.doctor.facts import duration
from larder.doctor.findings import Finding, Severity
from larder.kafka.open_transactions import behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.doctor.facts import System

AUDIT = "transactions"

LONG_SECONDS: Final = 30.0
"""A transaction of a worker is ended after 10 s. After so long a partition that does not move is looked into."""


def open_transactions(system: System, long: float = LONG_SECONDS) -> Iterator[Finding]:
    """Find transactions that have been open for `long` seconds, or since nobody knows when."""
    for tp, found in system.open_transactions.items():
        since = None if found.began is None else max(0.0, system.now_ms / 1000 - found.began)
        if since is None or since >= long:
            problem = behind(tp, found, system.bootstrap)
            began = "nobody knows since when" if since is None else f"for {duration(round(since))}"
            yield Finding(
                Severity.WARNING,
                AUDIT,
                problem.declared,
                f"an open transaction, {began}: {found.whose}",
                "nobody reads past it: the partition does not move, and a restart of a worker does not change that",
                (problem.do,),
                (Coordinates(tp.topic, tp.partition, found.offset),),
            )
