"""Joins as their page shows them: the sums of each, and the sampled records of all partitions, the newest first.

Pure; from the answer of `GET /joins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OUTCOMES = {
    "hits": "all rows were there when they came",
    "missing": "a row was missing when they came",
    "waiting": "wait for their rows now",
    "released": "joined after a wait",
    "expired": "expired after a wait",
    "parked": "in the dead letters",
    "passed_on": "passed on without a row",
    "dropped": "dropped, as declared",
}
"""The outcomes of records, in the order in which pages show them."""

# What people look for first: records without a result.
_FIRST = ("parked", "expired", "missing")
# Shown even if there are none.
_ALWAYS = frozenset({"hits", "missing", "parked"})
# The most samples of one kind that a page shows; the data has all.
_SHOWN = 20


def outcomes(join: Mapping[str, Any]) -> dict[str, Any]:
    """Return a join with its sums, and its samples by kind; a dead-lettered record is marked in each of them."""
    partitions = join["partitions"]
    sums = {kind: join.get(kind, 0) for kind in OUTCOMES}
    ended = {s["id"] for each in partitions for kind in _FIRST[:2] for s in each.get("samples", {}).get(kind, ())}
    letters = {sample["id"] for each in partitions for sample in each.get("samples", {}).get("parked", ())}
    return {
        **join,
        "sums": sums,
        "kinds": {kind: says for kind, says in OUTCOMES.items() if sums[kind] or kind in _ALWAYS},
        "says": OUTCOMES,
        "seen": sums["hits"] + sums["missing"],
        "samples": {kind: those for kind in _FIRST if (those := _samples(partitions, kind, letters, ended))},
    }


def _samples(partitions: list[dict[str, Any]], kind: str, letters: set[str], ended: set[str]) -> list[dict[str, Any]]:
    found = [
        {**sample, "partition": each["partition"], "letter": sample["id"] in letters}
        for each in partitions
        for sample in each.get("samples", {}).get(kind, ())
        if kind != "missing" or sample["id"] not in ended
    ]
    return sorted(found, key=lambda sample: -sample["at"])[:_SHOWN]
