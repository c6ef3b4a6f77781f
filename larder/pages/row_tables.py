"""Rows as a table: as many fields as fit on a screen, each value on one line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from larder.pages.values import shown
from larder.pages.wording import duration, listed, several

# The number of fields in a list; the others are on the row's own page.
_COLUMNS = 6


def listing(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return a list of rows as a table: some of their fields in order, and the text of each."""
    found = page["rows"]
    names = [
        name
        for name in dict.fromkeys(name for each in found for name in each["row"] or ())
        # Otherwise the key field would appear twice.
        if any(shown(each["row"].get(name)) != each["key"] for each in found if each["row"])
    ]
    return {
        "rows": [
            {**each, "cells": [shown((each["row"] or {}).get(name)) for name in names[:_COLUMNS]]} for each in found
        ],
        "names": names[:_COLUMNS],
        "more": len(names[_COLUMNS:]),
        "next": page.get("next"),
        "copies": _copies(page["partitions"]),
        "unreadable": sum(each.get("unreadable", 0) for each in page["partitions"]),
    }


def _copies(partitions: Sequence[Mapping[str, Any]]) -> str:
    """Describe the copies that a list was made from: their states, and how old its rows may be."""
    by_state: dict[str, list[Mapping[str, Any]]] = {}
    for each in partitions:
        by_state.setdefault(each["state"], []).append(each)
    return "; ".join(
        f"{several(those, 'partition')} {listed([each['partition'] for each in those])} {state}, {_age(those)}"
        for state, those in by_state.items()
    )


def _age(partitions: Sequence[Mapping[str, Any]]) -> str:
    ages = [each["freshness_s"] for each in partitions]
    return "of unknown age" if None in ages else f"up to {duration(max(ages))} old"
