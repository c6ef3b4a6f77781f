"""One setting: its meaning, and how the text of a variable or a TOML value becomes its value.

Pure; does not know any setting by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from larder.declaring.problems import Problem

NAMES = tuple[str, ...]
KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    NAMES: "names separated by commas, or in a file a list of texts",
}


class Setting(NamedTuple):
    """A setting without its value."""

    name: str
    type: Any  # a key of KINDS, or a Literal of strings; may be annotated with bounds
    default: Any
    variable: str
    about: str

    @property
    def kind(self) -> Any:
        """The type without its bounds."""
        return get_args(self.type)[0] if self._bounds else self.type

    @property
    def requirement(self) -> str:
        """What a value must be, in words."""
        kind = KINDS.get(self.kind) or f"one of {', '.join(get_args(self.kind))}"
        bounds = [(word, bound) for each in self._bounds for word, bound in (("least", each.ge), ("most", each.le))]
        return ", ".join([kind, *(f"at {word} {bound:g}" for word, bound in bounds if bound is not None)])

    @property
    def _bounds(self) -> tuple[msgspec.Meta, ...]:
        return getattr(self.type, "__metadata__", ())


def read(setting: Setting, given: Any, origin: str) -> Any:
    """Convert the text of a variable or a TOML value; return the value, or the `Problem`."""
    is_text = isinstance(given, str)
    value = _trimmed(setting.kind, given) if is_text else given
    try:
        return msgspec.convert(value, setting.type, strict=not is_text, dec_hook=_path)
    except msgspec.ValidationError:
        return Problem(
            f"setting {setting.name} ({origin})",
            f"requires {setting.requirement}",
            repr(given),
            f"give it such a value, or leave it out (default {shown(setting.default) or 'none'})",
        )


def shown(value: Any) -> str:
    """Return a value as the text of an environment variable."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _trimmed(kind: Any, text: str) -> str | list[str]:
    if kind == NAMES:
        return [name for each in text.split(",") if (name := each.strip())]
    return text.strip() if kind in {int, float} else text


def _path(kind: type[Path], given: Any) -> Path:
    """Convert to the one type that msgspec does not know."""
    return kind(given)
