"""Whether topics of rows are compacted and complete, and topics of events are not compacted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.declaring.coordinates import Coordinates
from larder.declaring.plurals import counted
from larder.doctor.findings import MOST_SAMPLES, Finding
from larder.doctor.mending import set_brokers, set_static, set_topic
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.declaring.topology import TopicUse
    from larder.doctor.facts import System, TopicState

AUDIT = "compaction"


def compaction(system: System) -> Iterator[Finding]:
    """Compare cleanup.policy with each declaration, and find rows that were deleted from logs."""
    uses: dict[str, TopicUse] = {}
    for _, use in system.uses:
        uses.setdefault(use.name, use)
    for use in uses.values():
        if (topic := system.topics.get(use.name)) is not None:
            yield from _policy(system, use, topic)
            yield from _cut(system, use, topic)
    if any(use.compacted for use in uses.values()):
        yield from _cleaner(system)


def _policy(system: System, use: TopicUse, topic: TopicState) -> Iterator[Finding]:
    policy = topic.facts.cleanup_policy.replace(" ", "")
    parts = policy.split(",")
    if use.compacted and policy != "compact":
        lost = "the broker deletes rows that were not written again in time, and tables lose them"
        why = lost if "delete" in parts else "the broker does not keep the newest row of each key"
        wanted = "compact"
    elif not use.compacted and "compact" in parts:
        why = "every event counts, but compaction keeps only the last one of each key"
        wanted = "delete"
    else:
        return
    yield Finding(
        Severity.ERROR,
        AUDIT,
        f"topic {use.name}",
        f"cleanup.policy={policy}; declared as {'rows' if use.compacted else 'events'}, which requires {wanted}",
        f"{why}; its workers refuse to start",
        (set_topic(system.bootstrap, use.name, cleanup_policy=wanted),),
    )


def _cut(system: System, use: TopicUse, topic: TopicState) -> Iterator[Finding]:
    """Find logs of rows that do not begin at 0: somebody deleted records from them."""
    cut = [Coordinates(use.name, partition, begin) for partition, begin in sorted(topic.begins.items()) if begin > 0]
    if not (use.compacted and cut):
        return
    followers = [service.name for service, each in system.uses if each.name == use.name]
    yield Finding(
        Severity.WARNING,
        AUDIT,
        f"topic {use.name}",
        f"records were deleted: the log begins later than at 0 in {len(cut)} of"
        f" {counted(topic.partitions, 'partition')}",
        "a table that is rebuilt would lack rows: a worker without a store of it refuses to start",
        (
            f"have the owner of {use.name} publish all its rows again",
            *(f"larder worker {service} --tables-from earliest" for service in followers),
        ),
        tuple(cut[:MOST_SAMPLES]),
    )


def _cleaner(system: System) -> Iterator[Finding]:
    if system.brokers.config.get("log.cleaner.enable") == "false":
        yield Finding(
            Severity.WARNING,
            AUDIT,
            "the brokers",
            "log.cleaner.enable=false",
            "nothing is ever compacted: topics of rows grow with each change, and take longer and longer to read",
            (set_static("log.cleaner.enable", "true"),),
        )
    ratio = float(system.brokers.config.get("log.cleaner.min.cleanable.ratio") or 0)
    if ratio >= 1:
        yield Finding(
            Severity.WARNING,
            AUDIT,
            "the brokers",
            f"log.cleaner.min.cleanable.ratio={ratio:g}",
            "a log is compacted only when all of it is new, which hardly ever happens",
            (set_brokers(system.bootstrap, log_cleaner_min_cleanable_ratio=0.5),),
        )
