"""Cursors: where a list continues, as an opaque text that belongs to one selection of one table. Pure.

A cursor holds no secret, and a forged one reads nothing that a client could not request anyway. It is checked so that
one list never continues with the cursor of another.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import msgspec

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 40
LONGEST = 8 * 1024
"""In characters: no request can carry a longer key anyway."""


class _CursorContent(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    selection: str
    after: bytes


def selection_mark(table: str, given: Sequence[tuple[str, str]]) -> str:
    """Return a digest that identifies a selection."""
    return hashlib.blake2b(msgspec.json.encode((table, sorted(given))), digest_size=9).hexdigest()


def cursor_text(mark: str, after: bytes) -> str:
    """Return the cursor that continues after an encoded key, or after another value by which the list is ordered."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_CursorContent(1, mark, after))).decode().rstrip("=")


def read_cursor(text: str, mark: str) -> bytes:
    """Return the encoded key after which to continue; raise MistakeError unless it is a cursor of this selection."""
    try:
        if len(text) > LONGEST:
            raise ValueError(len(text))  # noqa: TRY301 - the same answer as for any other invalid text
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(packed, type=_CursorContent, strict=True)
    except (ValueError, msgspec.MsgspecError) as error:
        raise invalid_cursor(text, "another text") from error
    if cursor.version != 1 or cursor_text(mark, cursor.after) != text:
        raise invalid_cursor(text, "one of another list" if cursor.version == 1 else f"version {cursor.version}")
    return cursor.after


def invalid_cursor(text: str, found: str) -> MistakeError:
    """Return the error of a text that is not a cursor of this list."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    problem = Problem(f"cursor {shown!r}", "requires the `next` of the same list", found, "list again from the start")
    return MistakeError(problem)
