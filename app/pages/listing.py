"""Rows as a table: as many fields as a screen takes, each value on one line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.pages.values import shown

# Fields of a row that a list shows; the others are on the row's own page.
_COLUMNS = 6


def listing(page: Mapping[str, Any]) -> dict[str, Any]:
    """Give a list of rows as a table: some of their fields in their order, and the text of each."""
    found = page["rows"]
    names = [
        name
        for name in dict.fromkeys(name for each in found for name in each["row"] or ())
        # The field that the key is made of would stand there twice.
        if any(shown(each["row"].get(name)) != each["key"] for each in found if each["row"])
    ]
    return {
        "rows": [
            {**each, "cells": [shown((each["row"] or {}).get(name)) for name in names[:_COLUMNS]]} for each in found
        ],
        "names": names[:_COLUMNS],
        "more": len(names[_COLUMNS:]),
        "next": page.get("next"),
    }
