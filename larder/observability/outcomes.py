"""What became of operators' records, in one form for all kinds: read out of the lists of a worker's status. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from larder.declaring.operators import LISTS

JOIN: Final = "join"

_KINDS: Final = {"joins": JOIN, "decides": "decide", "reactions": "reaction", "agents": "agent"}
"""What an operator of each list is, in one word; those of other lists say it themselves."""


def outcomes(status: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give each operator with its kind, its name, and its counts; workers of older versions do not know all lists."""
    for listed_as in LISTS:
        for each in status.get(listed_as, ()):
            kind = "fold" if each.get("folds") else _KINDS.get(listed_as)
            yield {"kind": kind, "name": each.get("table"), **each}
