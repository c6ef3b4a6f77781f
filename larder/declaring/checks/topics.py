"""Checks of a topic: its name, its row type, its fields, and its settings on the broker.

Pure: values in, problems out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from larder.declaring.facts import TopicFacts
from larder.declaring.fields import fields, scalar, unreadable
from larder.declaring.keys import INT64, KEY_TYPES, KeyType
from larder.declaring.missing_fields import DeadLetter, Drop
from larder.declaring.problems import Problem
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.topology import TopicUse

# org.apache.kafka.common.internals.Topic: legal characters and longest name.
LONGEST_NAME: Final = 249
_LEGAL_NAME: Final = re.compile(rf"[a-zA-Z0-9._-]{{1,{LONGEST_NAME}}}")


def name_problems(declared: str, name: str) -> Iterator[Problem]:
    """Check that Kafka accepts a name."""
    if not _LEGAL_NAME.fullmatch(name) or name in {".", ".."}:
        yield Problem(
            declared,
            "a topic name requires 1 to 249 of the characters a-z A-Z 0-9 . _ -",
            f'"{name}" ({len(name)} characters)',
            "choose another name",
        )


def topic_problems(topic: EventTopic | OwnerTopic) -> Iterator[Problem]:
    """Check everything about a topic that needs no broker."""
    declared = f"topic {topic.name}"
    yield from name_problems(declared, topic.name)
    yield from _number_problems(declared, topic)
    cause = unreadable(topic.row)
    if cause is not None:
        yield Problem(
            declared,
            "a row type requires fields that can be read from a JSON object",
            cause,
            "subclass tables.Row, and annotate its fields with types that msgspec knows",
        )
        return
    yield from _key_problems(declared, topic)
    if isinstance(topic, OwnerTopic):
        yield from _revision_problems(declared, topic)
        yield from _index_problems(declared, topic)
        yield from _cause_problems(declared, topic)


def field_problems(declared: str, what: str, row: type, field: str) -> Iterator[Problem]:
    """Check that a row type has the field that `what` needs."""
    if field not in fields(row):
        yield Problem(
            declared,
            f"{what} requires a field of {row.__name__}",
            f'"{field}"',
            f"use one of {', '.join(fields(row))}",
        )


def rekey_problems(declared: str, source: Rekeyed) -> Iterator[Problem]:
    """Check the field of `.by`."""
    unknown = list(field_problems(declared, ".by", source.row, source.field))
    yield from unknown
    if not unknown and scalar(source.row, source.field).key_type is None:
        yield Problem(
            declared,
            ".by requires a field of type str, bytes, int or UUID",
            f"{source.row.__name__}.{source.field}: {type_name(source.row, source.field)}",
            "partition by another field",
        )
    if source.missing is not Drop and source.missing is not DeadLetter:
        yield Problem(
            declared,
            "missing of .by requires Drop or DeadLetter",
            repr(source.missing),
            f'write .by("{source.field}", missing=Drop)',
        )


def type_name(row: type, field: str) -> str:
    """Return the type of a field as the user wrote it."""
    if field not in fields(row):
        return "no such field"
    found = fields(row)[field].type
    return found.__name__ if isinstance(found, type) else str(found)


def broker_problems(use: TopicUse, found: TopicFacts) -> Iterator[Problem]:
    """Compare the topic on the broker with its declaration."""
    policy = found.cleanup_policy.replace(" ", "")
    if use.compacted and policy != "compact":
        yield Problem(
            f"topic {use.name}",
            "an owner topic requires cleanup.policy=compact, which keeps every row",
            f"cleanup.policy={policy}",
            "set it on the topic, or declare the topic as EventTopic",
        )
    if not use.compacted and "compact" in policy.split(","):
        yield Problem(
            f"topic {use.name}",
            "an event topic requires cleanup.policy=delete, since every record counts",
            f"cleanup.policy={policy}",
            "set it on the topic, or declare the topic as OwnerTopic",
        )


def _number_problems(declared: str, topic: EventTopic | OwnerTopic) -> Iterator[Problem]:
    if topic.partitions is not None and (not isinstance(topic.partitions, int) or topic.partitions < 1):
        yield Problem(
            declared,
            "partitions requires a whole number from 1 on",
            repr(topic.partitions),
            "give the number of partitions to create the topic with",
        )
    if not isinstance(topic, EventTopic) or topic.retention is None:
        return
    if not isinstance(topic.retention, timedelta) or topic.retention <= timedelta():
        yield Problem(
            declared,
            "retention requires a timedelta above zero",
            str(topic.retention),
            "say how long events are kept, or leave it to the broker",
        )


def _key_problems(declared: str, topic: EventTopic | OwnerTopic) -> Iterator[Problem]:
    unknown = list(field_problems(declared, "a key", topic.row, topic.key))
    yield from unknown
    key_type = KEY_TYPES.get(topic.key_type)
    if key_type is None:
        yield Problem(
            declared,
            "key_type requires str, bytes, int or uuid.UUID",
            getattr(topic.key_type, "__name__", repr(topic.key_type)),
            "choose the one that the messages' keys are written in",
        )
    elif not unknown and scalar(topic.row, topic.key) != (key_type, False):
        yield _unfit(declared, f"a key of type {key_type.name}", key_type, topic, topic.key)


def _revision_problems(declared: str, topic: OwnerTopic) -> Iterator[Problem]:
    if topic.revision is None:
        return
    unknown = list(field_problems(declared, "a revision", topic.row, topic.revision))
    yield from unknown
    if not unknown and scalar(topic.row, topic.revision) != (INT64, False):
        yield _unfit(declared, "a revision", INT64, topic, topic.revision)


def _index_problems(declared: str, topic: OwnerTopic) -> Iterator[Problem]:
    for field in topic.indexes:
        yield from field_problems(declared, "an index", topic.row, field)
    for field in sorted({f for f in topic.indexes if topic.indexes.count(f) > 1}):
        yield Problem(
            declared,
            "an index requires to be declared once",
            f'"{field}" {topic.indexes.count(field)} times',
            "leave the others out",
        )


def _cause_problems(declared: str, topic: OwnerTopic) -> Iterator[Problem]:
    if "cause" in fields(topic.row):
        yield Problem(
            declared,
            "a topic whose records say their cause requires every one of them",
            f'OwnerTopic with the field "cause" in {topic.row.__name__}: compaction '
            "and deduplication would lose causes",
            "declare it as EventTopic, or leave the field out",
        )


def _unfit(
    declared: str,
    what: str,
    key_type: KeyType,
    topic: EventTopic | OwnerTopic,
    field: str,
) -> Problem:
    return Problem(
        declared,
        f"{what} requires a field of type {key_type.python.__name__}",
        f"{topic.row.__name__}.{field}: {type_name(topic.row, field)}",
        "change the field's type, or declare another field or key_type",
    )
