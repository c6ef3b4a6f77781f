"""Durations as people write them on a command line."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class Duration(click.ParamType):
    """A duration above zero: 30s, 90m, 36h, 3d, or a number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd]?)", str(value))
        if not match or not float(match[1]):
            self.fail(f"{value!r} is not a duration above zero, such as 30s, 90m, 36h or 3d", param, ctx)
        return float(match[1]) * _UNITS[match[2]]
