"""What templates are given beside the data itself: what has to be worked out, not only shown.

One function for each template, from the data (as JSON has it) and its JSON text to names. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from app.pages.drawing import drawing
from app.pages.samples import outcomes
from app.pages.troubles import Severity, troubles

Data = Mapping[str, Any]
View = Callable[[Data, bytes], dict[str, Any]]


def overview(data: Data, _: bytes) -> dict[str, Any]:
    """Give what is wrong, and the figures that stand for the whole."""
    found = troubles(data)
    lags = [each["lag"] for each in data["inputs"]]
    return {
        "troubles": found,
        "worst": min((each.severity for each in found), default=None),
        "Severity": Severity,
        "lag": None if None in lags else sum(lags),
        "inputs": _by_topic(data["inputs"]),
        "partitions": _partition_map(data),
    }


def recovery(data: Data, _: bytes) -> dict[str, Any]:
    """Give the partitions that are not there yet, those with the most left first, and how many are."""
    every = [{**each, "table": table["table"]} for table in data["tables"] for each in table["partitions"]]
    behind = [each for each in every if each["phase"] not in {"caught_up", "standby"}]
    behind.sort(key=lambda each: (-(each["remaining"] or 0), each["table"], each["partition"]))
    ends = [each["expected_s"] for each in behind]
    return {
        "behind": behind,
        "there": len(every) - len(behind),
        "of": len(every),
        "remaining": sum(each["remaining"] or 0 for each in behind),
        "rate": sum(each["rate"] for each in behind),
        "expected": max(ends) if ends and None not in ends else None,
    }


def row(data: Data, text: bytes) -> dict[str, Any]:
    """Give the row's fields with their types: as declared, or else as JSON has them."""
    declared = {field["name"]: field for field in data.get("fields", ())}
    fields = [
        {
            "name": name,
            "type": declared[name]["type"] if name in declared else _json_type(value),
            "declared": name in declared or not declared,
            "value": _shown(value),
            "empty": value is None or value == "",
        }
        for name, value in data["row"].items()
    ]
    return {"fields": fields, "raw": msgspec.json.format(_as_published(text), indent=2).decode()}


def dead_letter(data: Data, _: bytes) -> dict[str, Any]:
    """Give the letter's value to read, and the command that handles it again."""
    return {"value": _text(data.get("value")), "replay": f"larder dead-letters replay {shlex.quote(data['id'])}"}


def rows(data: Data, _: bytes) -> dict[str, Any]:
    """Give the rows with the fields that stand in columns."""
    return {"listing": listing(data)}


def table(data: Data, _: bytes) -> dict[str, Any]:
    """Give the sums over partitions, and the first rows if they came along."""
    lags = [each["lag"] for each in data["partitions"]]
    return {
        "lag": None if None in lags else sum(lags),
        "listing": listing(data["page"]) if data.get("page") else None,
    }


def listing(page: Data) -> dict[str, Any]:
    """Give a list of rows as a table: as many fields as a screen takes, in the order of the rows, and each row's text."""
    found = page["rows"]
    names = [
        name
        for name in dict.fromkeys(name for each in found for name in each["row"] or ())
        # The field that the key is made of would stand there twice.
        if any(_shown(each["row"].get(name)) != each["key"] for each in found if each["row"])
    ]
    return {
        "rows": [
            {**each, "cells": [_shown((each["row"] or {}).get(name)) for name in names[:_COLUMNS]]} for each in found
        ],
        "names": names[:_COLUMNS],
        "more": len(names[_COLUMNS:]),
        "next": page.get("next"),
    }


def topology(data: Data, _: bytes) -> dict[str, Any]:
    """Give the drawing."""
    names = {node["id"]: node["name"] for node in data["nodes"]}
    return {"drawing": drawing(data["nodes"], data["edges"]), "names": names}


def joins(data: Data, _: bytes) -> dict[str, Any]:
    """Give each join with its sums, what became of its records by partition, and its samples."""
    return {"joins": [outcomes(join) for join in data["joins"]]}


def plain(_: Data, __: bytes) -> dict[str, Any]:
    """Give nothing: the data is shown as it is."""
    return {}


VIEWS: Final[Mapping[str, View]] = {
    "overview": overview,
    "recovery": recovery,
    "tables": plain,
    "table": table,
    "rows": rows,
    "row": row,
    "joins": joins,
    "dead-letters": plain,
    "dead-letter": dead_letter,
    "topology": topology,
    "error": plain,
}

# Fields of a row that a list shows; the others are on the row's own page.
_COLUMNS = 6
# Characters of a value that a list shows.
_LONG = 80


def _by_topic(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in inputs:
        found.setdefault(each["topic"], []).append(each)
    return [
        {"topic": topic, "partitions": those, "lag": None if None in (lags := [e["lag"] for e in those]) else sum(lags)}
        for topic, those in sorted(found.items())
    ]


def _partition_map(data: Data) -> list[dict[str, Any]]:
    """Give each topic's partitions with who has them and how they are: what is known here, and what others told."""
    states = {
        (table["table"], each["partition"]): each["phase"] for table in data["tables"] for each in table["partitions"]
    }
    states |= {(each["topic"], each["partition"]): "input" for each in data["inputs"]}
    holders: dict[tuple[str, int], list[str]] = {}
    standbys: dict[tuple[str, int], list[str]] = {}
    for worker in data.get("workers", ()):
        for kind, held in (("partitions", holders), ("standby", standbys)):
            for topic, partitions in worker.get(kind, {}).items():
                for partition in partitions:
                    held.setdefault((topic, partition), []).append(worker["worker"])
    topics: dict[str, set[int]] = {}
    for topic, partition in [*states, *holders, *standbys]:
        topics.setdefault(topic, set()).add(partition)
    for topic, count in data.get("partition_counts", {}).items():
        topics.setdefault(topic, set()).update(range(count))
    for topic, partitions in topics.items():
        partitions.update(range(max(partitions, default=-1) + 1))
    return [
        {
            "topic": topic,
            "cells": [
                _cell(p, states.get((topic, p)), holders.get((topic, p), []), standbys.get((topic, p), []))
                for p in sorted(topics[topic])
            ],
        }
        for topic in sorted(topics)
    ]


def _cell(partition: int, phase: str | None, holders: list[str], standbys: list[str]) -> dict[str, Any]:
    """Say how one partition is: in whose hands, and in which state as far as it is known here."""
    kind = phase or ("elsewhere" if holders else "unserved")
    says = {"input": "processed here", "elsewhere": "on another worker", "unserved": "served by nobody"}
    told = [says.get(kind, kind.replace("_", " "))]
    if holders:
        told.append("held by " + ", ".join(holders))
    if standbys:
        told.append("standby on " + ", ".join(standbys))
    return {"partition": partition, "kind": kind, "says": "; ".join(told)}


class _Published(msgspec.Struct):
    row: msgspec.Raw


def _as_published(text: bytes) -> bytes:
    """Give the row as it stands in the answer: numbers keep the digits that their owner wrote."""
    return bytes(msgspec.json.decode(text, type=_Published).row)


def _json_type(value: Any) -> str:
    return _JSON_TYPES[type(value)]


_JSON_TYPES = {
    str: "text",
    int: "number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    list: "list",
    dict: "object",
}


def _shown(value: Any) -> str:
    """Write a value as a person reads it: text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _text(value: Any) -> str | None:
    """Write what a record had as its value: JSON to read, or the text as it is; None where there was none."""
    if value is None or not isinstance(value, str):
        return None if value is None else _pretty(value)
    try:
        return _pretty(msgspec.json.decode(value))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return value
