"""Answers of a worker's web port, held against its own description of them."""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator

from app.web.describing import whole


def require_described(path: str, status: int, media: str, body: Any) -> str:
    """Fail where an answer is not as described; gives the address that the path is of."""
    described = whole()
    address, operation = _operation(path)
    said = operation["responses"][str(status)]["content"]
    assert list(said) == [media], address
    Draft202012Validator({**said[media]["schema"], "components": described["components"]}).validate(body)
    return address


def _operation(path: str) -> tuple[str, dict[str, Any]]:
    """The address that a path is of: the one with the fewest placeholders that fits."""
    paths = whole()["paths"]
    fitting = [each for each in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path.partition("?")[0])]
    found = min(fitting, key=lambda each: each.count("{"))
    return found, paths[found]["get"]
