"""Tokens of writes, with which a later read can require them: positions in one topic, as a short text.

Clients treat the text as opaque. It has a version, the topic's id, and the offset of the last record in each
partition. Knows no tables and no brokers.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from larder.declaring.problems import Problem
from larder.store.errors import InvalidTokenError

_VERSION: Final = "1."
_SHOWN: Final = 40  # characters of an invalid token: enough to find it


class Token(NamedTuple):
    """The last records of a write: their offsets by partition, in the topic with that id."""

    topic_id: str
    offsets: Mapping[int, int]

    def text(self) -> str:
        """Encode the token for use in URLs: 27 characters, and about five for each partition."""
        packed = msgspec.msgpack.encode((UUID(self.topic_id).bytes, dict(sorted(self.offsets.items()))))
        return _VERSION + urlsafe_b64encode(packed).decode().rstrip("=")


def read_token(text: str) -> Token:
    """Decode a token; raise InvalidTokenError for any other text, or another version."""
    if not text.startswith(_VERSION):
        version, dot, _ = text.partition(".")
        raise _invalid(text, f"version {version}" if dot and version.isdigit() else "another text")
    body = text.removeprefix(_VERSION)
    try:
        packed = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        topic_id, offsets = msgspec.msgpack.decode(packed, type=tuple[bytes, dict[int, int]])
        token = Token(str(UUID(bytes=topic_id)), offsets)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _invalid(text, str(error)) from error
    if token.text() != text or not offsets or min(*offsets, *offsets.values(), 0) < 0:
        raise _invalid(text, "a text that no write answers with")
    return token


def _invalid(text: str, found: str) -> InvalidTokenError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    do = "give the token as the write answered it, to a larder of the same version"
    return InvalidTokenError(Problem(f"token {shown!r}", f"requires a token of version {_VERSION[:-1]}", found, do))
