"""The topics that a story is read from, and how a record of each becomes a step of it. Pure.

These are the declared topics of all services, with their refusals and dead letters. Internal topics only pass records
on, and their records are deleted once they are processed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from larder.config.errors import MistakeError
from larder.dead_letters.letters import Letter, read_record, text_of
from larder.declaring.carried import TRACEPARENT
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import CAUSED_BY
from larder.declaring.decisions import refusals_name
from larder.declaring.facts import dead_letters_name
from larder.declaring.topology import declared_topics, owns
from larder.delivery.headers import MADE_HEADER
from larder.queries.key_texts import encoded_key, key_text
from larder.tracing.story import StoryStep

if TYPE_CHECKING:
    from larder.declaring.operators import Topic
    from larder.declaring.records import Record
    from larder.declaring.service import Service

_TIME: Final = re.compile("[0-9]{1,18}")

Read = Callable[[int, "Record"], StoryStep]
"""Reads a record of a partition as a step."""


class TracedTopic(NamedTuple):
    """A topic of a story.

    about    returns whether a record is about the key of the story, whatever its trace is.
    read     returns a record of a partition as a step.
    """

    name: str
    about: Callable[[Record], bool]
    read: Read


class _RefusedRow(msgspec.Struct):
    key: str
    reason: str


_read_refusal = msgspec.json.Decoder(_RefusedRow).decode


def traced_topics(services: Sequence[Service], key: str) -> list[TracedTopic]:
    """Return the topics of a story; raise MistakeError if the key is no key of any declared topic."""
    declared = {topic.name: topic for topic in declared_topics(services)}
    keys: dict[str, bytes] = {}
    mistake: MistakeError | None = None
    for name, topic in declared.items():
        try:
            keys[name] = encoded_key(topic, key)
        except MistakeError as error:
            mistake = error
    if mistake is not None and not keys:
        raise mistake
    found = [_records(topic, keys.get(name), _writer(topic, services)) for name, topic in declared.items()]
    for service in services:
        if not all(decide.folds for decide in service.decides):
            found.append(_refusals(service.name, key))
        found.append(_letters(service.name, frozenset(keys.values()), declared))
    return found


def trace_of(record: Record) -> str | None:
    """Return the id of a record's trace; None if it has none."""
    for name, value in record.headers:
        if name == TRACEPARENT and value:
            parts = value.split(b"-")
            return text_of(parts[1] if len(parts) > 1 else value)
    return None


def _writer(topic: Topic, services: Sequence[Service]) -> str | None:
    return topic.owner or next((service.name for service in services if owns(service, topic)), None)


def _records(topic: Topic, key: bytes | None, service: str | None) -> TracedTopic:
    form = topic.key_codec.one_form

    def about(record: Record) -> bool:
        if key is None or record.key is None:
            return False
        return record.key == key or (form is not None and form(record.key) == key)

    def read(partition: int, record: Record) -> StoryStep:
        kind = "record" if record.value is not None else "deletion"
        text = None if record.key is None else key_text(topic, record.key)
        return _step(Coordinates(topic.name, partition, record.offset), record, service, kind, text)

    return TracedTopic(topic.name, about, read)


def _refusals(service: str, key: str) -> TracedTopic:
    name = refusals_name(service)

    def refusal(record: Record) -> _RefusedRow:
        try:
            return _read_refusal(record.value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _RefusedRow("", "")

    def read(partition: int, record: Record) -> StoryStep:
        found = refusal(record)
        step = _step(Coordinates(name, partition, record.offset), record, service, "refusal", found.key)
        return step._replace(note=found.reason)

    return TracedTopic(name, lambda record: refusal(record).key == key, read)


def _letters(service: str, keys: frozenset[bytes], declared: Collection[str]) -> TracedTopic:
    name = dead_letters_name(service)

    def read(partition: int, record: Record) -> StoryStep:
        place, letter = Coordinates(name, partition, record.offset), read_record(partition, record)
        step = _step(place, record, service, "dead letter", None)
        if not isinstance(letter, Letter):
            return step
        # A record of an internal topic is not part of the story, but the one that it was made from.
        before = letter.id if letter.id.topic in declared else Coordinates.read(text_of(letter.made_from) or "")
        return step._replace(key=text_of(letter.key), note=letter.cause, cause=before)

    return TracedTopic(name, lambda record: dict(record.headers).get("larder.key") in keys, read)


def _step(place: Coordinates, record: Record, service: str | None, kind: str, key: str | None) -> StoryStep:
    headers = dict(record.headers)
    made, _, worker = (text_of(headers.get(MADE_HEADER)) or "").partition(" ")
    at = int(made) if _TIME.fullmatch(made) else record.timestamp
    cause = Coordinates.read(text_of(headers.get(CAUSED_BY)) or "")
    return StoryStep(place, at, kind, key, service, worker or None, trace_of(record), cause)
