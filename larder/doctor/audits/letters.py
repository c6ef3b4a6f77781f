"""Unsettled dead letters, counted by cause. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from larder.declaring.facts import dead_letters_name
from larder.declaring.plurals import counted, plural
from larder.doctor.findings import MOST_SAMPLES, Finding
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.dead_letters.tallying import Tally
    from larder.doctor.facts import System

AUDIT = "letters"


def letters(system: System) -> Iterator[Finding]:
    """Find services with dead letters that nobody has replayed or discarded."""
    for service, tally in system.letters.items():
        if tally.total:
            yield _unsettled(service, tally)


def _unsettled(service: str, tally: Tally) -> Finding:
    least = "" if tally.whole else "at least "
    many = f"{counted(tally.total, 'dead letter')} {plural(tally.total, 'is', 'are')}"
    causes = "; ".join(f"{each.letters:,} of {each.subject}: {each.cause}" for each in tally.causes)
    rest = tally.total - sum(each.letters for each in tally.causes)
    name = shlex.quote(service)
    samples = [sample for each in tally.causes for sample in each.samples[:1]]
    samples += [sample for each in tally.causes for sample in each.samples[1:]]
    return Finding(
        Severity.WARNING,
        AUDIT,
        f"dead letters in {dead_letters_name(service)}",
        f"{least}{many} not settled: {causes}{f'; {rest:,} of other causes' if rest else ''}",
        "their records have changed nothing and have no result",
        (
            f"larder dead-letters list {name}, and larder dead-letters show {name} {samples[0]} for one with its value",
            f"larder dead-letters replay {name} --cause TEXT once the cause is fixed, or discard instead of replay",
        ),
        tuple(samples[:MOST_SAMPLES]),
    )
