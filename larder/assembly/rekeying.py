"""Rekeying in a worker: what `.by` passes on, and how the results of rekeyed rows are gathered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from larder.assembly.context import InputContext
from larder.assembly.joins import JoinPlan
from larder.assembly.operator_plan import build
from larder.declaring.compiled.joins import compile_rekey, compile_row_rekey
from larder.declaring.missing_fields import Drop
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.delivery.output import Output
from larder.operators.rekeying.events import RekeyEventsStep
from larder.operators.rekeying.mirror import MirrorStep
from larder.operators.rekeying.newest_result import NewestResultStep
from larder.operators.rekeying.rows import RekeyRowsStep
from larder.processing.handlers import InputStep
from larder.store.applying.row_checks import RowChecks


@dataclass(frozen=True)
class RekeyPlan:
    """What is rekeyed, and where to; for rows, `places` is the table of their places."""

    rekeyed: Rekeyed
    output: Output
    places: Output | None

    @property
    def step(self) -> str:
        """The name of this step in dead letters."""
        return self.rekeyed.step

    def placed(self, name: str) -> Iterator[str]:
        """Yield the topic that it writes, and for rows with places the source and the places."""
        yield self.output.topic
        if self.places is not None:
            # Each source partition remembers the places of its rows, so that it can move them.
            yield from (name, self.places.topic)


@build.register
def _build(plan: RekeyPlan, at: InputContext) -> InputStep:
    if plan.rekeyed.mirrored:
        return MirrorStep(plan.output, at)
    source, counts = plan.rekeyed.source, at.counts.rekeyings[plan.output.topic]
    if plan.places is None or not isinstance(source, OwnerTopic) or source.revision is None:
        return RekeyEventsStep(compile_rekey(plan.rekeyed), plan.output, at, counts)
    read = compile_row_rekey(plan.rekeyed, source.revision)
    places, drops = at.owned(plan.places), plan.rekeyed.missing is Drop
    return RekeyRowsStep(read, places, plan.output, at, counts, drops=drops)


@dataclass(frozen=True)
class GatherPlan:
    """The results of a join that are gathered by their own key."""

    of: JoinPlan
    step = "gathering"


@build.register
def _build_gathering(plan: GatherPlan, at: InputContext) -> NewestResultStep:
    # Only the service writes there. A dead letter is a foreign record, so no step is named that could replay it.
    into = cast("OwnerTopic", plan.of.operator.into)
    return NewestResultStep(at.owned(plan.of.output), at.for_step(""), RowChecks(into))
