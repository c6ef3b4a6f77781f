"""Why inputs are held back if their topics and tables have different partition counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiokafka.structs import TopicPartition

from larder.declaring.plurals import counted
from larder.declaring.problems import Problem

WHILE_SCALED: Final = "processes no records while it is being scaled"
"""Why inputs are held back on purpose: it is no fault."""


def too_few_partitions(tp: TopicPartition, count: int, tables: Mapping[str, int]) -> Problem | None:
    """Return the problem if tables and an input with `count` partitions have different partition counts.

    Return None if all have the same count: a missing partition is about to come.
    """
    uneven = {name: each for name, each in tables.items() if each != count}
    if not uneven:
        return None
    return Problem(
        f"input {tp.topic}, partition {tp.partition}",
        f"its joins require as many partitions as it has in {' and '.join(uneven)}",
        " and ".join(map(str, uneven.values())),
        "add partitions where there are fewer, with kafka-topics for instance; until then its records are held back",
    )


def uneven_replays(tp: TopicPartition, count: int, source: TopicPartition, source_count: int) -> Problem:
    """Return the problem that a topic of replayed records and its input have different partition counts."""
    return Problem(
        f"topic {tp.topic}, partition {tp.partition}",
        f"requires as many partitions as {source.topic}, whose dead letters are replayed in it",
        f"{count}, and {source_count} of {source.topic}",
        "add partitions where there are fewer, with kafka-topics for instance; until then its records are held back",
    )


def being_scaled(service: str, partitions: int) -> Problem:
    """Return why no input is processed while a service is being scaled."""
    return Problem(
        f"service {service}",
        WHILE_SCALED,
        f"a growth to {counted(partitions, 'partition')}",
        f"wait, follow it with larder scale {service}, or cancel it with larder scale {service} --cancel",
    )
