"""What templates get beside the data: everything that has to be computed.

One function for each template turns the data (as in JSON) and its JSON text into named values. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from larder.observability.conditions import Severity
from larder.pages import totals
from larder.pages.drawing import drawing
from larder.pages.partitions import by_topic, partition_map
from larder.pages.row_tables import listing
from larder.pages.samples import outcomes
from larder.pages.scaling import scaling
from larder.pages.timeline import bars
from larder.pages.troubles import troubles
from larder.pages.values import indented, shown, top
from larder.queries.stored_calls import CallState
from larder.tracing.story import notes

Data = Mapping[str, Any]
View = Callable[[Data, bytes], dict[str, Any]]


def overview(data: Data, _: bytes) -> dict[str, Any]:
    """Return what is wrong, and the totals."""
    found = troubles(data)
    inputs = totals.inputs(data)
    lags = [each["lag"] for each in inputs]
    return {
        "troubles": found,
        "worst": min((each.severity for each in found), default=None),
        "Severity": Severity,
        "lag": None if None in lags else sum(lags),
        "processed": sum(status["processed"] for status in totals.statuses(data)),
        "joins": totals.joins(data),
        "requests": [{**each, "command": _sending(each)} for each in totals.requests(data)],
        "calls": totals.calls(data),
        "others": totals.others(data),
        "inputs": by_topic(inputs),
        "input_count": len(inputs),
        "partitions": partition_map(data),
        "scaling": scaling(data),
    }


def recovery(data: Data, _: bytes) -> dict[str, Any]:
    """Return the partitions that are not caught up, those with the most left first, and the number of the others."""
    every = [
        {**each, "table": table["table"], "worker": status["worker"]}
        for status in totals.statuses(data)
        for table in status["tables"]
        for each in table["partitions"]
    ]
    behind = [each for each in every if each["phase"] not in {"caught_up", "standby"}]
    behind.sort(key=lambda each: (-(each["remaining"] or 0), each["table"], each["partition"]))
    ends = [each["expected_s"] for each in behind]
    return {
        "silent": totals.silent(data),
        "behind": behind,
        "there": len(every) - len(behind),
        "of": len(every),
        "remaining": sum(each["remaining"] or 0 for each in behind),
        "rate": sum(each["rate"] for each in behind),
        "expected": max(ends) if ends and None not in ends else None,
    }


def row(data: Data, text: bytes) -> dict[str, Any]:
    """Return the row's fields with their types: as declared, or else those of JSON."""
    declared = {field["name"]: field for field in data.get("fields", ())}
    fields = [
        {
            "name": name,
            "type": declared[name]["type"] if name in declared else _json_type(value),
            "declared": name in declared or not declared,
            "value": shown(value),
            "empty": value is None or value == "",
        }
        for name, value in data["row"].items()
    ]
    return {"fields": fields, "raw": indented(top(text, "row"))}


def dead_letter(data: Data, text: bytes) -> dict[str, Any]:
    """Return the letter's value and headers as text, and the commands that settle it."""
    names = f"{shlex.quote(data['service'])} {shlex.quote(data['id'])}"
    return {
        "value": _value(data, text),
        "headers": [(each["name"], each["value"]) for each in data["headers"]],
        # A letter without a step has no step that could process it again.
        "replay": f"larder dead-letters replay {names}{'' if data.get('step') else ' --republish'}",
        "discard": f"larder dead-letters discard {names}",
    }


def calls(data: Data, _: bytes) -> dict[str, Any]:
    """Return the states to choose from, and the commands for calls of the list."""
    return {"states": [each.value for each in CallState], **_deciding(data, "--all", "ID")}


def call(data: Data, text: bytes) -> dict[str, Any]:
    """Return the event and its headers as text, and the commands that decide about the call."""
    stored = shlex.quote(data["id"])
    return {
        "value": _value(data, text),
        "headers": [(each["name"], each["value"]) for each in data["headers"]],
        **_deciding(data, stored, stored),
    }


def _deciding(data: Data, retried: str, skipped: str) -> dict[str, str]:
    names = f"{shlex.quote(data['service'])} {shlex.quote(data['call'])}"
    return {"retry": f"larder calls retry {names} {retried}", "skip": f"larder calls skip {names} {skipped}"}


def rows(data: Data, _: bytes) -> dict[str, Any]:
    """Return the rows with the fields that have columns."""
    return {"listing": listing(data)}


def table(data: Data, _: bytes) -> dict[str, Any]:
    """Return the sums over partitions, and the first rows if the data has them."""
    copies = [each for each in data["partitions"] if each["state"] != "standby"]
    counted = [each for each in copies if data["held"] != "global" or each["worker"] == data["worker"]]
    lags = [each["lag"] for each in counted]
    return {
        "lag": None if None in lags else sum(lags),
        "listing": listing(data["page"]) if data.get("page") else None,
    }


def topology(data: Data, _: bytes) -> dict[str, Any]:
    """Return the drawing."""
    names = {node["id"]: node["name"] for node in data["nodes"]}
    return {"drawing": drawing(data["nodes"], data["edges"]), "names": names}


def trace(data: Data, _: bytes) -> dict[str, Any]:
    """Return the steps of a story with their bars, and what a reader has to know beside them."""
    return {"steps": list(zip(data["steps"], bars(data["steps"], data["took_ms"]), strict=True)), "notes": notes(data)}


def joins(data: Data, _: bytes) -> dict[str, Any]:
    """Return each join with its sums, the outcomes by partition, and its samples."""
    return {"joins": [outcomes(join) for join in data["joins"]]}


def plain(_: Data, __: bytes) -> dict[str, Any]:
    """Return nothing: the page shows the data as it is."""
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
    "refusals": plain,
    "calls": calls,
    "call": call,
    "topology": topology,
    "trace": trace,
    "error": plain,
}


def _sending(request: Data) -> str:
    """Return a command that sends a request, with words in capitals to fill in."""
    address = re.sub(r"\{(\w+)\}", lambda part: part[1].upper(), request["name"])
    example = msgspec.json.format(msgspec.json.encode(request["example"]), indent=0).decode()
    body = [example] if request["example"] else []
    return f"larder request {shlex.join([address, *body])}"


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


def _value(data: Data, text: bytes) -> str | None:
    """Return the value of a record: readable JSON with its owner's digits, or text; None if it had none."""
    if data["shown_as"] != "json":
        return None if data["value"] is None else str(data["value"])
    return indented(top(text, "value"))
