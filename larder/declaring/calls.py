"""Calling the functions that users declare: whatever they raise is told of the record that they were called for."""

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from larder.declaring.problems import LarderError


class FunctionFailedError(LarderError, ValueError):
    """A declared function, or a row type, raised; or the function gave what it may not give."""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; FunctionFailedError for what it raises."""
    try:
        return function(*arguments)
    except (Exception, CancelledError) as error:
        # Nobody cancels what is no coroutine: it comes from the function.
        raise failed(getattr(function, "__name__", repr(function)), error) from error


def failed(what: str, error: BaseException) -> FunctionFailedError:
    """Say what was raised, and by what."""
    try:
        cause = str(error)
    except Exception:  # noqa: BLE001 - an error's own code may fail, too
        cause = "it cannot be said why"
    return FunctionFailedError(f"{what} raised {type(error).__name__}: {cause}")
