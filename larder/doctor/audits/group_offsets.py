"""Whether a service will find its committed offsets (rule 3). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka.structs import TopicPartition

from larder.declaring.coordinates import Coordinates
from larder.doctor.facts import duration
from larder.doctor.findings import Finding
from larder.doctor.mending import set_static
from larder.group.start_offsets import Offsets, OffsetsLostError, input_offset
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.declaring.service import Service
    from larder.doctor.facts import System

AUDIT = "offsets"

WEEK_MINUTES: Final = 10_080
"""Kafka's default of offsets.retention.minutes: a service that is stopped for some days keeps its offsets."""


def group_offsets(system: System) -> Iterator[Finding]:
    """Check how long the offsets of a stopped service are kept, and whether those that exist can be used."""
    kept = system.brokers.number("offsets.retention.minutes", WEEK_MINUTES)
    absence = system.expected_absence
    needed = 0 if absence is None else int(absence.seconds // 60) + 1
    if kept < max(WEEK_MINUTES, needed):
        who = "" if absence is None or needed <= WEEK_MINUTES else f"; {absence.who}: {duration(absence.seconds)}"
        yield Finding(
            Severity.WARNING,
            AUDIT,
            "the brokers",
            f"the brokers keep offsets of a service without workers for {duration(kept * 60)}"
            f" (offsets.retention.minutes={kept}){who}",
            "a service that was stopped for longer has lost them and refuses to start: it does not guess its position",
            (set_static("offsets.retention.minutes", max(WEEK_MINUTES, 2 * needed)),),
        )
    for service in system.services:
        yield from _lost(system, service)


def _lost(system: System, service: Service) -> Iterator[Finding]:
    """Check each input as a worker does at its start."""
    group = system.groups.get(service.name)
    if group is None:
        return
    remembered = system.remembered.get(service.name, {})
    known = {tp.topic for tp in group.committed} | set(remembered)
    topics = [topic for name, topic in system.topics.items() if name in known]
    tps = [
        (TopicPartition(topic.name, at), topic) for topic in topics for at in topic.ends if at not in topic.leaderless
    ]
    offsets = Offsets(
        group.committed,
        {tp: topic.begins[tp.partition] for tp, topic in tps},
        {tp: topic.ends[tp.partition] for tp, topic in tps},
    )
    for tp, topic in tps:
        try:
            input_offset(tp, offsets, remembered, topic.topic_id, None)
        except OffsetsLostError as error:
            committed = group.committed.get(tp)
            yield Finding(
                Severity.ERROR,
                AUDIT,
                f"service {service.name}, {error.problem.declared}",
                f"committed offset: {error.problem.found}",
                "the service refuses to start: it would skip the records in between, or process them again",
                (
                    f"larder worker {service.name} --inputs-from earliest (records may be processed again)",
                    f"or larder worker {service.name} --inputs-from latest (skips the records that are there now)",
                ),
                () if committed is None else (Coordinates(tp.topic, tp.partition, committed.offset),),
            )
