"""Which letters are chosen, and which of them can be replayed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from larder.counters.cause_log import kind_of
from larder.dead_letters.letters import Name
from larder.declaring.plurals import counted
from larder.delivery.output import RECORD_OVERHEAD

if TYPE_CHECKING:
    from collections.abc import Collection

    from larder.dead_letters.letters import Headers, Letter
    from larder.declaring.coordinates import Coordinates
    from larder.declaring.facts import TopicFacts


class Chosen(NamedTuple):
    """The letters with one of these ids, or all; optionally only those of a topic, or with a text in their cause."""

    ids: frozenset[Coordinates] | None = None
    topic: str | None = None
    cause: str | None = None

    def takes(self, letter: Letter) -> bool:
        """Return whether a letter is chosen."""
        return (
            (self.ids is None or letter.id in self.ids)
            and (self.topic is None or letter.id.topic == self.topic)
            and (self.cause is None or says(letter.cause, self.cause.casefold()))
        )

    def partitions(self, count: int) -> list[int]:
        """Return the partitions of the dead letters' topic to read, likely ones first."""
        wanted = {each.partition for each in self.ids or ()}
        return sorted(range(count), key=lambda partition: partition not in {each % count for each in wanted})


def says(cause: str, text: str) -> bool:
    """Return whether a cause contains a text, or is of the kind that the text names without values."""
    return text in cause.casefold() or text in kind_of(cause).casefold()


def obstacle(letter: Letter, facts: TopicFacts) -> str | None:
    """Return why a record cannot be replayed, by the `facts` of its topic; None if it can."""
    topic, partition, _ = letter.id
    if partition >= facts.partitions:
        return f"replaying requires its partition; found {facts.partitions} of {topic}"
    if "compact" in facts.cleanup_policy:
        return (
            f"replaying requires a topic of events; found {topic}, which is compacted: an old row would replace"
            " a newer one; have the owner publish the row again, then discard the letter"
        )
    return None


def stepless(letter: Letter, topic: str, partitions: int | None) -> str:
    """Return why a letter cannot be replayed to the step that wrote it; empty if it can.

    `partitions`: their number in `topic`, from which the step would read it; None if there is no such topic.
    """
    do = f"--republish publishes it for all readers of {letter.id.topic}"
    if letter.step is None:
        return f"replaying requires the step that wrote the letter; found a letter that names none; {do}"
    if partitions is None:
        return (
            f"replaying requires {topic}, which the workers of {letter.service} create; found none; start one, or {do}"
        )
    if letter.id.partition >= partitions:
        found = f"replaying requires partition {letter.id.partition} of {topic}; found"
        return f"{found} {counted(partitions, 'partition')}; add partitions to it, or {do}"
    return ""


def too_large(letter: Letter, topic: str, headers: Headers, facts: TopicFacts) -> str | None:
    """Return why a letter is too large for the topic of its replay; None if it is not."""
    size = RECORD_OVERHEAD + sum(map(_length, [letter.key, letter.value]))
    size += sum(len(name.encode()) + _length(value) for name, value in headers)
    if size <= facts.max_message_bytes:
        return None
    return (
        f"replaying requires at most {facts.max_message_bytes} bytes in {topic}; found {size}; raise"
        " max.message.bytes of the topic"
    )


def unfound(ids: Collection[Coordinates], topic: str) -> dict[Name, str]:
    """Return the error for ids that no letter of a topic has."""
    return {Name(each): f"requires a letter in {topic}; found none of that id" for each in sorted(ids)}


def _length(value: bytes | None) -> int:
    return len(value or b"")
