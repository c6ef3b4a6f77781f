"""The outcomes of operators' records, in one form for all kinds, from the lists of a worker's status. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from larder.declaring.operators import LISTS

JOIN: Final = "join"
REQUEST: Final = "request"
CALL: Final = "call"

_KINDS: Final = {"joins": JOIN, "decides": "decide", "reactions": "reaction", "agents": "agent"}
"""The kind of the operators in each list, in one word; entries of other lists name their own."""


def outcomes(status: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each operator with its kind, its name and its counts; older workers do not report all lists."""
    for listed_as in LISTS:
        for each in status.get(listed_as, ()):
            kind = "fold" if each.get("folds") else _KINDS.get(listed_as)
            yield {"kind": kind, "name": each.get("table"), **each}
