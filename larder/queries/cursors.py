"""Where a list goes on: an opaque text that belongs to one selection of one table. Pure.

It has nothing secret in it, and whoever makes one up gets at nothing that could not be asked for: the text is checked
so that a list never goes on in another one.
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
"""Characters: a key longer than that does not come with a request anyway."""


class _CursorContent(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    selection: str
    after: bytes


def selection_mark(table: str, given: Sequence[tuple[str, str]]) -> str:
    """Give what tells one selection from another."""
    return hashlib.blake2b(msgspec.json.encode((table, sorted(given))), digest_size=9).hexdigest()


def cursor_text(mark: str, after: bytes) -> str:
    """Give the cursor that goes on behind an encoded key (or whatever else the list is ordered by)."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_CursorContent(1, mark, after))).decode().rstrip("=")


def read_cursor(text: str, mark: str) -> bytes:
    """Give the encoded key after which to go on; raises MistakeError for what is no cursor of this selection."""
    try:
        if len(text) > LONGEST:
            raise ValueError(len(text))  # noqa: TRY301 - one answer to all that it may be
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(packed, type=_CursorContent, strict=True)
    except (ValueError, msgspec.MsgspecError) as error:
        raise forged(text, "another text") from error
    if cursor.version != 1 or cursor_text(mark, cursor.after) != text:
        raise forged(text, "one of another list" if cursor.version == 1 else f"version {cursor.version}")
    return cursor.after


def forged(text: str, found: str) -> MistakeError:
    """Say that a text is no cursor of this list."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    problem = Problem(
        f"cursor {shown!r}", "requires the `next` of the same list", found, "begin without a cursor, or repeat the list"
    )
    return MistakeError(problem)
