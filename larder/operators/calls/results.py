"""What the function of a call returned or raised, as an outcome. Pure."""

from __future__ import annotations

from typing import Any, Final

from larder.declaring.calls import Call, Unavailable
from larder.declaring.compiled.calls import CompiledCall
from larder.declaring.stored_calls import Done, StoredCall

OUTAGES: Final[tuple[type[BaseException], ...]] = (TimeoutError, ConnectionError, OSError)
"""Errors that mean that the other side is down, whatever the event is."""

CAUSE_CHARACTERS: Final = 200
"""How much of an error's text is kept: it may quote what nobody should read later."""


def done(compiled: CompiledCall, call: StoredCall, returned: Any) -> Done:
    """Return the outcome of a function that returned; its result may be impossible to publish."""
    try:
        return Done(call.id, call.attempt, compiled.results(returned))
    except ValueError as error:
        return Done(call.id, call.attempt, unusable=_shortened(str(error)))


def is_outage(call: Call, error: BaseException) -> bool:
    """Return whether an error means that the other side is down, whatever the event is."""
    return isinstance(error, (*OUTAGES, Unavailable, *call.outages))


def cause_of(error: BaseException) -> str:
    """Return the class and the text of an error, without what addresses may carry behind their question mark."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error's own code may fail too
        text = "its message cannot be read"
    words = [word.split("?", 1)[0] + "?…" if "?" in word and "/" in word else word for word in text.split()]
    return _shortened(f"{type(error).__name__}: {' '.join(words)}".rstrip(": "))


def _shortened(text: str) -> str:
    return text if len(text) <= CAUSE_CHARACTERS else f"{text[:CAUSE_CHARACTERS]}…"
