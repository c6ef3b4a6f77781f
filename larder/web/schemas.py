"""The schemas of answers, in the form of OpenAPI 3.1.

They list what answers always have. Later versions may add members, so no schema is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.declaring.growth import GrowthPhase

if TYPE_CHECKING:
    from collections.abc import Mapping


def thing(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe an object."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def things(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a list."""
    return {"type": "array", "items": schema}


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
NUMBER = {"type": "number"}
FLAG = {"type": "boolean"}
ANY: dict[str, Any] = {}


def or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a value that may be null."""
    return {"anyOf": [dict(schema), {"type": "null"}]}


def ref(name: str) -> dict[str, Any]:
    """Refer to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


_HOW_FAR = {
    "state": TEXT,
    "position": or_null(WHOLE),
    "end": or_null(WHOLE),
    "lag": or_null(WHOLE),
    "freshness_s": or_null(NUMBER),
}
_ORIGIN = {"partition": WHOLE, "offset": WHOLE, "timestamp": WHOLE, "revision": or_null(WHOLE)}
_LETTER = thing(
    {
        "id": TEXT,
        "at": TEXT,
        "topic": TEXT,
        "partition": WHOLE,
        "offset": WHOLE,
        "key": or_null(TEXT),
        "step": or_null(TEXT),
        "cause": TEXT,
    }
)
_VERDICT = {"service": TEXT, "worker": TEXT, "phase": TEXT, "reasons": {"type": "array"}, "besides": {"type": "array"}}
_PARTITION = thing({"partition": WHOLE, "worker": TEXT, **_HOW_FAR}, {"unreadable": WHOLE})
_REJECTED = {"rejected": thing({"at": TEXT, "partition": WHOLE, "offset": WHOLE, "cause": TEXT})}

_UNSETTLED = or_null(
    thing(
        {
            "total": WHOLE,
            "whole": FLAG,
            "causes": things(thing({"topic": TEXT, "cause": TEXT, "count": WHOLE, "samples": things(TEXT)})),
            "topics": things(thing({"topic": TEXT, "count": WHOLE, "since": {"type": "object"}})),
        }
    )
)

_STEP = thing(
    {
        "topic": TEXT,
        "partition": WHOLE,
        "offset": WHOLE,
        "id": TEXT,
        "kind": {"enum": ["record", "deletion", "refusal", "dead letter"]},
        "key": or_null(TEXT),
        "service": or_null(TEXT),
        "worker": or_null(TEXT),
        "at": TEXT,
        "after_ms": WHOLE,
        "latency_ms": or_null(WHOLE),
        "cause": or_null(TEXT),
        "trace": or_null(TEXT),
        "note": or_null(TEXT),
    }
)

_CALL = thing(
    {
        "id": TEXT,
        "state": {"enum": ["waiting", "running", "retrying"]},
        "event": TEXT,
        "event_key": TEXT,
        "place": TEXT,
        "key": TEXT,
        "since": NUMBER,
        "attempt": WHOLE,
        "failures": WHOLE,
        "due": NUMBER,
        "begun": or_null(thing({"worker": TEXT, "at": NUMBER})),
        "cause": or_null(TEXT),
    }
)

SCHEMAS: dict[str, Any] = {
    "Story": thing(
        {
            "key": TEXT,
            "since": TEXT,
            "until": TEXT,
            "traces": things(TEXT),
            "services": things(TEXT),
            "took_ms": WHOLE,
            "steps": things(_STEP),
            "topics_read": WHOLE,
            "records_read": WHOLE,
            "missing_topics": things(TEXT),
            "whole": FLAG,
        }
    ),
    "Problem": thing(
        dict.fromkeys(("type", "title", "detail", "declared", "requires", "found", "do"), TEXT) | {"status": WHOLE},
        {"partition": WHOLE, "partitions": things(WHOLE), "expected_end_s": or_null(NUMBER), **_HOW_FAR},
    ),
    "Row": thing(
        {"table": TEXT, "key": TEXT, "row": {"type": "object"}, "worker": TEXT, **_ORIGIN, **_HOW_FAR}, _REJECTED
    ),
    "Rows": thing(
        {
            "table": TEXT,
            "rows": things(thing({"key": TEXT, "row": or_null({"type": "object"})}, {**_ORIGIN, **_REJECTED})),
            "next": or_null(TEXT),
            "partitions": things(_PARTITION),
        }
    ),
    "Tables": thing(
        {
            "tables": things(
                thing(
                    {
                        "table": TEXT,
                        "held": {"enum": ["global", "partition"]},
                        "topic": TEXT,
                        "rows": WHOLE,
                        "partitions": things(_PARTITION),
                        "state": TEXT,
                        "lag": or_null(WHOLE),
                        "freshness_s": or_null(NUMBER),
                    }
                )
            ),
            "worker": TEXT,
        }
    ),
    "Table": thing(
        {
            "table": TEXT,
            "held": {"enum": ["global", "partition"]},
            "topic": TEXT,
            "key": TEXT,
            "fields": things(
                thing({"name": TEXT, "type": TEXT, "required": FLAG, "default": ANY, "meaning": or_null(TEXT)})
            ),
            "indexes": things(TEXT),
            "building": things(TEXT),
            "rows": WHOLE,
            "parked": WHOLE,
            "disk_bytes": WHOLE,
            "partitions": things(
                thing(
                    {
                        "partition": WHOLE,
                        "worker": or_null(TEXT),
                        "web": or_null(TEXT),
                        "rows": or_null(WHOLE),
                        **_HOW_FAR,
                    }
                )
            ),
            "silent": things(TEXT),
        }
    ),
    "Services": thing(
        {
            "service": TEXT,
            "worker": TEXT,
            "phase": TEXT,
            "tables": {"type": "array"},
            "decides": things(
                thing({"name": TEXT, "inputs": things(TEXT), "folds": FLAG, "counts": {"type": "object"}})
            ),
            "reactions": things(thing({"table": TEXT, "counts": {"type": "object"}})),
            "agents": things(thing({"name": TEXT, "topic": TEXT, "counts": {"type": "object"}})),
            "operators": things(thing({"kind": TEXT, "name": TEXT, "counts": {"type": "object"}})),
            "rekeyings": things(thing({"name": TEXT, "dropped": WHOLE})),
            "held_back": things(TEXT),
            "growth": or_null(
                thing(
                    {
                        "phase": {"enum": [each.value for each in GrowthPhase]},
                        "generation": WHOLE,
                        "partitions": things(WHOLE),
                        "began": NUMBER,
                        "phase_began": NUMBER,
                        "until": or_null(NUMBER),
                        "reason": or_null(TEXT),
                        "copied": or_null(WHOLE),
                        "to_copy": or_null(WHOLE),
                        "expected_s": or_null(NUMBER),
                    }
                )
            ),
            "warnings": things(TEXT),
            "dead_letters": thing(
                {
                    "total": WHOLE,
                    "inputs": things(thing({"topic": TEXT, "records": WHOLE, "dead_letters": WHOLE, "cause": TEXT})),
                    "causes": things(thing({"topic": TEXT, "cause": TEXT, "count": WHOLE})),
                }
            ),
            "partition_counts": {"type": "object"},
            "workers_known": FLAG,
            "workers": things(
                thing(
                    {"worker": TEXT, "web": TEXT, "partitions": {"type": "object"}, "standby": {"type": "object"}},
                    {"phase": TEXT, "told": or_null({"type": "object"})},
                )
            ),
        },
        {"unsettled": _UNSETTLED},
    ),
    "Live": thing({"live": FLAG, **_VERDICT}),
    "Ready": thing({"ready": FLAG, **_VERDICT}),
    "Metrics": {"type": "string"},
    "Topology": thing(
        {
            "nodes": things(thing({"id": TEXT, "kind": TEXT, "name": TEXT, "rate": or_null(NUMBER)})),
            "edges": things(thing({"from": TEXT, "to": TEXT, "label": TEXT})),
        }
    ),
    "DeadLetters": thing(
        {
            "letters": things(_LETTER),
            "next": or_null(TEXT),
            "beyond": FLAG,
            "unsettled": _UNSETTLED,
        }
    ),
    "Refusals": thing(
        {
            "refusals": things(thing(dict.fromkeys(("id", "at", "state", "key", "reason"), TEXT))),
            "next": or_null(TEXT),
            "beyond": FLAG,
            "counted": or_null(
                thing(
                    {
                        "total": WHOLE,
                        "whole": FLAG,
                        "reasons": things(
                            thing({"state": TEXT, "reason": TEXT, "count": WHOLE, "samples": things(TEXT)})
                        ),
                    }
                )
            ),
        }
    ),
    "DeadLetter": thing(
        {
            **_LETTER["properties"],
            "service": TEXT,
            "value": ANY,
            "shown_as": or_null(TEXT),
            "headers": things(thing({"name": TEXT, "value": or_null(TEXT)})),
            "settled": or_null({"type": "object"}),
        }
    ),
    "Calls": thing(
        {"call": TEXT, "service": TEXT, "table": TEXT, "outcomes": TEXT, "calls": things(_CALL), "next": or_null(TEXT)}
    ),
    "Call": thing(
        {
            **_CALL["properties"],
            "call": TEXT,
            "service": TEXT,
            "value": ANY,
            "shown_as": or_null(TEXT),
            "headers": things(thing({"name": TEXT, "value": or_null(TEXT)})),
        }
    ),
    "Joins": thing(
        {
            "joins": things(
                thing({"join": TEXT, "into": TEXT, "partitions": things(thing({"partition": WHOLE, "worker": TEXT}))})
            ),
            "silent": things(TEXT),
        }
    ),
    "Events": {
        "type": "string",
        "description": "Each event has an `id`, a name (`event`), and JSON (`data`): start, StartEvent; row, RowEvent;"
        " reset, ResetEvent",
    },
    "StartEvent": thing({"table": TEXT, "worker": TEXT, "partitions": things(WHOLE)}),
    "RowEvent": thing(
        {
            "key": TEXT,
            "row": or_null({"type": "object"}),
            **{name: or_null(WHOLE) for name in ("partition", "offset", "revision")},
        }
    ),
    "ResetEvent": thing({"why": TEXT}),
    "Description": thing({"openapi": TEXT, "paths": {"type": "object"}}),
}
