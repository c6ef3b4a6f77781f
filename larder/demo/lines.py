"""The status of a worker as one line of figures. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WorkerLine(NamedTuple):
    """A worker at one moment. `rate`: records per second since the previous line; `lag`: None while unknown."""

    worker: str
    state: str
    processed: int = 0
    rate: float = 0.0
    lag: int | None = None
    joined: int = 0
    missing: int = 0
    waiting: int = 0

    def plain(self) -> str:
        """Return the line for a log."""
        lag = "?" if self.lag is None else f"{self.lag:,}"
        return (
            f"{self.worker:<13} {self.rate:>9,.0f}/s  lag {lag:>9}  joined {self.joined:>11,}"
            f"  missed {self.missing:>5,}  waiting {self.waiting:>5,}  {self.state}"
        )


def line(worker: str, status: Mapping[str, Any], before: WorkerLine | None, seconds: float) -> WorkerLine:
    """Return the line of a worker from its status ({} if it did not answer). `before` is `seconds` old."""
    if not status:
        return WorkerLine(worker, "starting")
    joins: Sequence[Mapping[str, Any]] = status["joins"]
    lags = [each["lag"] for each in status["inputs"]]
    processed = status["processed"]
    passed = processed - before.processed if before else 0
    return WorkerLine(
        worker,
        status["phase"],
        processed,
        max(0.0, passed / seconds) if seconds > 0 else 0.0,
        None if None in lags or not lags else sum(lags),
        sum(each["counts"]["joined"] for each in joins),
        sum(each["counts"]["missing"] for each in joins),
        sum(each["waiting"] for each in joins),
    )
