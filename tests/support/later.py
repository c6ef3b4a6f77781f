"""Answers of what is not there now, which have to say when to ask again."""

from __future__ import annotations

from collections.abc import Mapping

from larder.queries.certainty import LONGEST_RETRY


def require_retry_after(status: int, headers: Mapping[str, str]) -> None:
    """Fail for a 503 that does not say when to ask again, or says a time that is too far away."""
    assert status != 503 or 1 <= int(headers["Retry-After"]) <= LONGEST_RETRY
