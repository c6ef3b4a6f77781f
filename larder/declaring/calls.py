"""Calls the functions that users declare. Whatever they raise becomes an error of the record at hand."""

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from larder.declaring.problems import LarderError


class FunctionFailedError(LarderError, ValueError):
    """A declared function, or a row type, raised; or the function returned something that is not allowed."""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; raises FunctionFailedError for whatever it raises."""
    try:
        return function(*arguments)
    except (Exception, CancelledError) as error:
        # It comes from the function: only a coroutine can be cancelled from outside.
        raise failed(getattr(function, "__name__", repr(function)), error) from error


def failed(what: str, error: BaseException) -> FunctionFailedError:
    """Give the error for what was raised, and by what."""
    try:
        cause = str(error)
    except Exception:  # noqa: BLE001 - an error's own code may fail, too
        cause = "its message cannot be read"
    return FunctionFailedError(f"{what} raised {type(error).__name__}: {cause}")
