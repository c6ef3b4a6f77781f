"""Converts between keys as people write them, in a URL or on a command line, and message keys. Pure."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import TYPE_CHECKING, Any

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from larder.declaring.topics import EventTopic, OwnerTopic


def key_value(topic: EventTopic | OwnerTopic, text: str) -> Any:
    """Return the value of `topic`'s key field that a text represents; raise `MistakeError` if there is none."""
    _, read = _READERS[topic.key_type]
    try:
        return read(text)
    except ValueError as error:
        raise _no_key(topic, text) from error


def key_text(topic: EventTopic | OwnerTopic, key: bytes) -> str:
    """Return the text that `encoded_key` reads as this message key; for an invalid key, its bytes as readable text."""
    try:
        value = topic.key_codec.decode(key)
    except ValueError:
        return key.decode("utf-8", "backslashreplace")
    return base64.urlsafe_b64encode(value).decode().rstrip("=") if isinstance(value, bytes) else str(value)


def encoded_key(topic: EventTopic | OwnerTopic, text: str) -> bytes:
    """Return the message key that a text represents; raise `MistakeError` if there is none."""
    value = key_value(topic, text)
    try:
        return topic.key_codec.encode(value)
    except ValueError as error:
        raise _no_key(topic, text) from error


def _no_key(topic: EventTopic | OwnerTopic, text: str) -> MistakeError:
    wanted, _ = _READERS[topic.key_type]
    return MistakeError(Problem(f"key of {topic.name}", f"requires {wanted}", repr(text), "write it that way"))


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _base64url(text: str) -> bytes:
    padding = "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text + padding, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


_READERS: dict[type, tuple[str, Callable[[str], Any]]] = {
    str: ("text", str),
    int: ("a whole number of 64 bits", _whole_number),
    uuid.UUID: ("a UUID of 36 characters", uuid.UUID),
    bytes: ("bytes in base64url", _base64url),
}
