"""Long lists as JSON, encoded and sent in chunks, so that other tasks get their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp.payload import Payload

from larder.queries.lists import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp.abc import AbstractStreamWriter

PIECE_BYTES = 64 * 1024
"""The size of a chunk: what a connection buffers before its client reads. A larger row is a chunk of its own."""


async def pieces(data: Mapping[str, Any], name: str) -> list[bytes]:
    """Return the pieces of an object whose last member is a list, encoded element by element."""
    rest = {each: value for each, value in data.items() if each != name}
    made, last, turns = [], bytearray(msgspec.json.encode(rest)[:-1] + f',"{name}":['.encode()), Turns()
    for number, element in enumerate(data[name]):
        last += b"," * (number > 0) + msgspec.json.encode(element)
        if len(last) >= PIECE_BYTES:
            made.append(bytes(last))
            last.clear()
        await turns.pause()
    return [*made, bytes(last + b"]}")]


class Pieces(Payload):
    """The body of an answer, in pieces."""

    _value: Sequence[bytes]

    def __init__(self, value: Sequence[bytes], media: str) -> None:
        """Keep the pieces to send."""
        super().__init__(value, content_type=media)
        self._size = sum(map(len, value))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the whole body as text."""
        return b"".join(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send one piece after another, as fast as the client reads."""
        turns = Turns()
        for piece in self._value:
            await writer.write(piece)
            await turns.pause()
