"""Waits for what a test can only look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")


def eventually(look: Callable[[], Found], done: Callable[[Found], Any], seconds: float = 30) -> Found:
    """Look until it is done, and return what was found."""
    deadline = time.monotonic() + seconds
    while not done(found := look()):
        assert time.monotonic() < deadline, f"after {seconds:g} s: {found}"
        time.sleep(0.1)
    return found
