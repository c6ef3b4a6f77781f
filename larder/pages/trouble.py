"""A trouble, as the overview shows it. A value only."""

from __future__ import annotations

from typing import NamedTuple

from larder.observability.conditions import Severity


class Trouble(NamedTuple):
    """One thing that is wrong: what was seen, what to do, the page with more of it, a command."""

    severity: Severity
    what: str
    do: str
    where: str
    look: str
    command: str = ""
