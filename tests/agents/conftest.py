"""Tests of services ask nobody outside, unless they say who answers."""

from __future__ import annotations

import pytest

from agents import outside
from larder import Unavailable


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the outside be away."""

    async def ask(*_arguments: object) -> outside.Answer:
        message = "nobody is there"
        raise Unavailable(message)

    monkeypatch.setattr(outside, "ask", ask)
