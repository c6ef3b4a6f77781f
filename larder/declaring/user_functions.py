"""Calls the functions that users declare. Whatever a function raises becomes an error of the current record."""

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from larder.declaring.problems import LarderError


class FunctionFailedError(LarderError, ValueError):
    """A declared function or a row type raised an error, or the function returned a value that is not allowed."""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; raise FunctionFailedError if it raises anything."""
    try:
        return function(*arguments)
    except (Exception, CancelledError) as error:
        # The function raised it: only a coroutine can be cancelled from outside.
        raise failed(getattr(function, "__name__", repr(function)), error) from error


def failed(what: str, error: BaseException) -> FunctionFailedError:
    """Return the error for an exception that `what` raised."""
    try:
        cause = str(error)
    except Exception:  # noqa: BLE001 - an error's own code may fail too
        cause = "its message cannot be read"
    return FunctionFailedError(f"{what} raised {type(error).__name__}: {cause}")
