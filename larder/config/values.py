"""One setting: what it means, and how a text or a TOML value becomes its value. Pure; knows no setting by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from larder.declaring.problems import Problem

KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    tuple[str, ...]: "names with commas between, in a file a list of texts",
}


class Setting(NamedTuple):
    """What is known of a setting before anybody gave it a value."""

    name: str
    kind: Any  # a key of KINDS, or a Literal of texts
    default: Any
    variable: str
    about: str
    low: float = -math.inf
    high: float = math.inf

    @property
    def requirement(self) -> str:
        """What a value must be, in words."""
        bounds = [f"at least {self.low:g}"] * (self.low > -math.inf) + [f"at most {self.high:g}"] * (
            self.high < math.inf
        )
        return ", ".join([KINDS.get(self.kind) or f"one of {', '.join(get_args(self.kind))}", *bounds])


def read(setting: Setting, given: Any, origin: str) -> Any:
    """Give the value that `given` (a text of the environment, or a TOML value) stands for, or the `Problem`."""
    try:
        value = _converted(setting.kind, given)
    except (TypeError, ValueError):
        value = None
    if value is None or (setting.kind in {int, float} and not setting.low <= value <= setting.high):
        return Problem(
            f"setting {setting.name} ({origin})",
            f"requires {setting.requirement}",
            repr(given),
            f"give it such a value, or leave it out (default {shown(setting.default) or 'none'})",
        )
    return value


def shown(value: Any) -> str:
    """Give a value as it would be written in the environment."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _converted(kind: Any, given: Any) -> Any:
    if isinstance(given, str):
        return _parsed(kind, given)
    if kind == tuple[str, ...] and isinstance(given, list) and all(isinstance(each, str) for each in given):
        return tuple(given)
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and (kind is float or (kind is int and isinstance(given, int))):
        return kind(given)
    raise TypeError(given)


def _parsed(kind: Any, text: str) -> Any:
    if kind == tuple[str, ...]:
        return tuple(name for each in text.split(",") if (name := each.strip()))
    if get_origin(kind) is Literal:
        return {choice: choice for choice in get_args(kind)}.get(text)
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError(text)
    return value
