"""The identity of a store: whether a directory has the expected one, and what to do otherwise.

`judge` decides between continuing, rebuilding and refusing; it reads and writes nothing. Does not know RocksDB.
"""

import hashlib
from typing import Any, Final, NamedTuple

import msgspec

from larder.declaring.problems import Problem
from larder.declaring.topics import OwnerTopic
from larder.store.layout import FORMAT

# Parts of a JSON schema that change with docstrings rather than rows.
_PROSE: Final = frozenset({"title", "description", "examples"})


class StoreIdentity(msgspec.Struct, frozen=True):
    """What a store records about itself.

    format     the number of its layout.
    topic      the name of the topic.
    topic_id   the broker's id of the topic; None if the store was made without a broker.
    part       "global", or the number of its only partition.
    key, revision   field and type of the key, field of the revision ("" for none).
    row        the digest of the row type, by which rows were accepted or rejected, and
               with which their index entries were made.
    """

    format: int
    topic: str
    topic_id: str | None
    part: str
    key: str
    revision: str
    row: str

    def is_other_topic(self, other: "StoreIdentity") -> bool:
        """Return whether the topic was deleted and created again between the two; no if an id is unknown."""
        return None not in (self.topic_id, other.topic_id) and self.topic_id != other.topic_id


class StoreVerdict(NamedTuple):
    """What to do with a store: refuse it, empty it for a reason, or continue."""

    refuse: Problem | None = None
    rebuild: str | None = None


def identity(topic: OwnerTopic, topic_id: str | None, part: str) -> StoreIdentity:
    """Return the identity of a store of this declaration."""
    return StoreIdentity(
        format=FORMAT,
        topic=topic.name,
        topic_id=topic_id,
        part=part,
        key=f"{topic.key}: {topic.key_codec.name}",
        revision=topic.revision or "",
        row=row_digest(topic.row),
    )


def judge(found: StoreIdentity | None, expected: StoreIdentity, where: str) -> StoreVerdict:
    """Compare the identity of a store, None if it cannot be read, with the expected one.

    An unknown topic id on either side is no reason to rebuild: without a broker the last copy answers.
    """
    if found is None:
        return StoreVerdict(rebuild="its format cannot be read")
    if (found.topic, found.part) != (expected.topic, expected.part):
        return StoreVerdict(refuse=_swapped(found, expected, where))
    for name, was, now in (
        ("format", found.format, expected.format),
        ("key", found.key, expected.key),
        ("revision", found.revision, expected.revision),
        ("row type", found.row, expected.row),
    ):
        if was != now:
            return StoreVerdict(rebuild=f"its {name} was {was!r} and is {now!r}")
    if found.is_other_topic(expected):
        ids = f"its id was {found.topic_id} and is {expected.topic_id}"
        return StoreVerdict(rebuild=f"topic {found.topic} was deleted and created again ({ids})")
    return StoreVerdict()


def row_digest(row: type) -> str:
    """Return a short digest of what a row type accepts, independent of docstrings."""
    schema = _plain(msgspec.json.schema(row))
    text = msgspec.json.encode(schema, order="deterministic")
    return hashlib.sha256(text).hexdigest()[:16]


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if name not in _PROSE or isinstance(part, dict)}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def _swapped(found: StoreIdentity, expected: StoreIdentity, where: str) -> Problem:
    return Problem(
        f"store {where}",
        f"this directory must hold {_named(expected)}",
        _named(found),
        "put the directories back in their places, or remove this one, and the table is read from the topic again",
    )


def _named(identity: StoreIdentity) -> str:
    part = identity.part
    which = "all partitions" if part == "global" else f"partition {part}"
    return f"{which} of {identity.topic}"
