"""How commands show the outcomes of operators to people: a table for each kind, and samples of joins."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from larder.cli.terminal.output import printable, show_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OF_JOINS = ("hits", "missing", "waited", "released", "expired", "parked", "passed_on", "dropped")
HEADINGS = {"reaction": "reacts to"}
"""Headings of the kinds that are not shown by their own name."""

OF_FOLDS = ("decided", "rows", "parked")
"""The outcomes of a decide that a fold can have; the others never occur in it."""

SAMPLES = ("missing", "expired", "parked")


def show_outcomes(joins: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]) -> None:
    """Print a table of the joins by partition, and one for each other kind."""
    rows = [
        (join["into"], join["worker"], str(each["partition"]), *_counts(each, OF_JOINS))
        for join in joins
        for each in join["partitions"]
    ]
    _show(("into", "worker", "partition"), OF_JOINS, rows)
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for each in others:
        by_kind.setdefault(each["kind"], []).append(each)
    for kind, those in by_kind.items():
        counts = OF_FOLDS if kind == "fold" else [*dict.fromkeys(chain.from_iterable(each["counts"] for each in those))]
        rows = [(each["name"], each["worker"], *_counts(each["counts"], counts)) for each in those]
        _show((HEADINGS.get(kind, kind), "worker"), counts, rows)


def _counts(counted: Mapping[str, int], names: Sequence[str]) -> list[str]:
    return [f"{counted.get(name, 0):,}" for name in names]


def _show(headings: Sequence[str], counts: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        counted = [name.replace("_", " ") for name in counts]
        show_columns((*headings, *counted), rows, right=["partition", *counted])


def show_samples(joins: Iterable[dict[str, Any]], most: int) -> None:
    """Print at most `most` of the newest records that lacked a partner, expired after a wait or were dead-lettered."""
    lines = [line for _, line in sorted(_samples(joins), key=lambda each: each[0], reverse=True)]
    for line in lines[:most]:
        click.echo(line)
    if len(lines) > most:
        click.echo(f"{len(lines) - most:,} more: --samples {len(lines)} lists all")


def _samples(joins: Iterable[dict[str, Any]]) -> Iterable[tuple[float, str]]:
    """Yield the time of each sample and its line."""
    for join in joins:
        for partition in join["partitions"]:
            for kind in SAMPLES:
                for sample in partition.get("samples", {}).get(kind, ()):
                    yield sample.get("at", 0.0), f"{kind}: {_sample(sample)} (into {join['into']})"


def _sample(sample: dict[str, Any]) -> str:
    """Return which record a sample is, and what it lacked."""
    place = f" at {sample['id']}" if sample.get("id") else ""
    lacked = ""
    if sample.get("table"):
        reference = "null" if sample.get("reference") is None else repr(sample["reference"])
        lacked = f" lacks {reference} of {sample['table']}"
    cause = f": {sample['cause']}" if sample.get("cause") else ""
    return printable(f"{sample.get('key')}{place}{lacked}{cause}")
