"""Answers of what is unavailable for now, which have to say when to try again."""

from __future__ import annotations

from collections.abc import Mapping

from larder.queries.certainty import LONGEST_RETRY


def require_retry_after(status: int, headers: Mapping[str, str]) -> None:
    """Fail for a 503 without `Retry-After`, or with one that is too long."""
    assert status != 503 or 1 <= int(headers["Retry-After"]) <= LONGEST_RETRY
