"""Writes the history of a failed seed as readable files: the plan, the events and the observations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.faults.history import History, Seen, Violation
from tests.faults.plan import Plan


def keep(directory: Path, plan: Plan, history: History, seen: Sequence[Seen], found: Sequence[Violation]) -> None:
    """Write everything that the verdict is based on next to the workers' logs and stores."""
    _lines(directory / "violations.txt", map(str, found))
    _lines(directory / "plan.txt", (f"{name}: {value}" for name, value in vars(plan).items()))
    _lines(directory / "happened.txt", (f"{at:.3f} {what}" for at, what in sorted(history.happened)))
    _json(directory / "eras.jsonl", history.eras)
    _json(directory / "written.jsonl", history.written)
    _json(directory / "answers.jsonl", history.answers)
    _json(directory / "posted.jsonl", history.posted)
    _json(directory / "charges.jsonl", history.charges)
    _json(directory / "money.jsonl", history.money)
    _json(directory / "seen.jsonl", seen)


def _lines(file: Path, lines: Iterable[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines))


def _json(file: Path, values: Iterable[NamedTuple]) -> None:
    file.write_bytes(b"".join(msgspec.json.encode(value._asdict()) + b"\n" for value in values))
