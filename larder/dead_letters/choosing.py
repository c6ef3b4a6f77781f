"""Which letters are chosen, and which of them can be replayed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from larder.counters.cause_log import kind_of
from larder.dead_letters.letters import Name
from larder.declaring.plurals import counted
from larder.delivery.output import RECORD_OVERHEAD

if TYPE_CHECKING:
    from collections.abc import Collection

    from larder.dead_letters.letters import Headers, Letter
    from larder.declaring.coordinates import Coordinates
    from larder.declaring.facts import TopicFacts

DISCARD: Final = "discard the letter"


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


def nameless(letter: Letter) -> str:
    """Return why a letter without a step cannot be replayed to one."""
    return f"replaying requires the step that wrote the letter; found a letter that names none; {_republishing(letter)}"


def elsewhere(letter: Letter, *, republish: bool) -> str:
    """Return why a letter cannot be replayed to a step that no input of its record has today.

    `republish`: whether anybody reads its topic.
    """
    do = _republishing(letter) if republish else DISCARD
    return (
        f"replaying requires the step {letter.step!r} on an input of {letter.service} with the records of"
        f" {letter.id.topic}; found none; declare it again, or {do}"
    )


def uncreated(letter: Letter, topic: str) -> str:
    """Return why a letter cannot be replayed in a topic that does not exist."""
    return (
        f"replaying requires {topic}, which the workers of {letter.service} create; found none; start one, or"
        f" {_republishing(letter)}"
    )


def beyond(letter: Letter, topic: str, facts: TopicFacts) -> str | None:
    """Return why a letter cannot be replayed in its partition of a topic; None if it can."""
    if letter.id.partition < facts.partitions:
        return None
    found = f"replaying requires partition {letter.id.partition} of {topic}; found"
    return f"{found} {counted(facts.partitions, 'partition')}; add partitions to it, or {_republishing(letter)}"


def unread(letter: Letter) -> str:
    """Return why a letter cannot be republished to a topic that its service has left when it was scaled."""
    return (
        f"republishing requires a topic that somebody reads; found {letter.id.topic}, which {letter.service} has left"
        f" when it was scaled; replay the letter without --republish, or {DISCARD}"
    )


def _republishing(letter: Letter) -> str:
    return f"--republish publishes it for all readers of {letter.id.topic}"


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
