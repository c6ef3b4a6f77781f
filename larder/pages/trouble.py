"""A trouble, as the overview shows it. A value."""

from __future__ import annotations

from typing import NamedTuple

from larder.observability.conditions import Severity


class Trouble(NamedTuple):
    """A trouble: what is wrong, what to do, the page with details, a command."""

    severity: Severity
    what: str
    do: str
    where: str
    look: str
    command: str = ""
