"""What the addresses answer, for one service in trouble and one that is well: data for every template."""

from __future__ import annotations

import copy
from typing import Any

from larder.assembly.uneven import being_scaled
from larder.pages import Context

AT = 1_795_300_000.0
TABLES = frozenset({"shop.customers", "shop.products", "shop.enriched-orders"})


def context(path: str = "/") -> Context:
    return Context(service="shipping", worker="shipping-1", path=path, at=AT, tables=TABLES)


def partition(number: int, phase: str = "caught_up", **others: Any) -> dict[str, Any]:
    return {
        "partition": number,
        "phase": phase,
        "position": 12_480 + number,
        "end": 12_480 + number,
        "lag": 0,
        "freshness_s": 0.21,
        "applied": 12_480,
        "rate": 0.0,
        "remaining": 0,
        "expected_s": 0.0,
    } | others


def held(name: str, *partitions: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "table": name,
        "held": "global",
        "rows": 49_920,
        "parked": 0,
        "building": [],
        "diverging": None,
        "counts": {"new": 49_920, "changed": 3_100, "unchanged": 12, "stale": 4, "deleted": 31},
        "progress": {"applied": 53_067, "rate": 0.0, "remaining": 0, "expected_s": 0.0},
        "partitions": list(partitions or (partition(number) for number in range(4))),
    } | others


def counts(**others: int) -> dict[str, int]:
    kinds = ("joined", "missing", "waited", "released", "expired", "passed_on", "dropped", "parked", "unwanted")
    return dict.fromkeys(kinds, 0) | others


def joined(**others: Any) -> dict[str, Any]:
    counted = counts(joined=602_165) | others.pop("counts", {})
    return {"name": "shop.enriched-orders", "source": "shop.orders", "counts": counted, "waiting": 0} | others


def reads(partition: int, position: int = 301_082, end: int = 301_082) -> dict[str, Any]:
    return {
        "topic": "shop.orders",
        "partition": partition,
        "position": position,
        "end": end,
        "lag": end - position,
    }


NO_LETTERS: dict[str, Any] = {"total": 0, "inputs": [], "causes": []}


def letters(count: int, records: int = 602_165, topic: str = "shop.orders", cause: str = "no value") -> dict[str, Any]:
    """Dead letters since a worker started, all of one input and cause."""
    causes = [{"topic": topic, "cause": cause, "count": count}]
    inputs = [{"topic": topic, "records": records, "dead_letters": count, "cause": cause}]
    return {"total": count, "inputs": inputs, "causes": causes}


def status(worker: str = "shipping-1", **others: Any) -> dict[str, Any]:
    """What a worker says of itself."""
    return {
        "service": "shipping",
        "worker": worker,
        "phase": "running",
        "processed": 602_165,
        "joins": [joined()],
        "decides": [],
        "reactions": [],
        "rekeyings": [],
        "inputs": [reads(0), reads(1)],
        "tables": [held("shop.customers"), held("shop.products", rows=1_200)],
        "held_back": [],
        "growth": None,
        "dead_letters": NO_LETTERS,
        "partition_counts": {"shop.orders": 4},
    } | others


def member(number: int, *partitions: int, standby: tuple[int, ...] = (), **others: Any) -> dict[str, Any]:
    """A worker, as the one that is asked tells of it."""
    return {
        "worker": f"shipping-{number}",
        "web": f"http://127.0.0.1:4100{number}",
        "partitions": {"shop.orders": list(partitions)},
        "standby": {"shop.orders": list(standby)},
        "phase": "running",
        "told": None,
    } | others


TWO = status("shipping-2", inputs=[reads(2), reads(3)])

NONE_UNSETTLED: dict[str, Any] = {"total": 0, "whole": True, "causes": [], "topics": []}


def unsettled(count: int, since: dict[str, int], topic: str = "shop.orders", cause: str = "no key") -> dict[str, Any]:
    """Dead letters that lie in their topic, all of one input and cause; `since` has the first offset by partition."""
    causes = [{"topic": topic, "cause": cause, "count": count, "samples": [f"{topic}/0/1"]}]
    return {
        "total": count, "whole": True, "causes": causes, "topics": [{"topic": topic, "count": count, "since": since}],
    }  # fmt: skip


WELL = status(
    unsettled=NONE_UNSETTLED, workers_known=True, workers=[member(1, 0, 1), member(2, 2, 3, standby=(0,), told=TWO)]
)


def services(**others: Any) -> dict[str, Any]:
    return copy.deepcopy(WELL) | others


FELL = {
    "partition": 2,
    "key": "c2041",
    "offset": 9_177,
    "revision": 3,
    "earlier_offset": 9_020,
    "earlier_revision": 8,
}

TROUBLED = services(
    joins=[
        joined(
            counts=counts(joined=602_166, missing=318, waited=318, released=290, expired=16, parked=16),
            waiting=12,
        )
    ],
    dead_letters=letters(75_016, cause="the field customer_id requires `str`; found null"),
    inputs=[reads(0, end=318_400), reads(1, 301_077, 301_080)],
    tables=[
        held("shop.customers", diverging=FELL, parked=2),
        held(
            "shop.products",
            partition(0),
            partition(
                1,
                "recovering",
                position=3_110,
                end=12_481,
                lag=9_371,
                rate=1_210.5,
                remaining=9_371,
                expected_s=7.7,
                freshness_s=412.0,
            ),
            partition(
                2,
                "recovering",
                position=150,
                end=12_482,
                lag=12_332,
                rate=980.0,
                remaining=12_332,
                expected_s=12.6,
                freshness_s=None,
            ),
            partition(3),
            rows=1_107,
            building=["country"],
        ),
    ],
    partition_counts={"shop.orders": 5},
    workers=[
        member(1, 0, 1),
        member(2, 3, told=status("shipping-2", inputs=[reads(3)])),
        member(3, 4, phase="no answer"),
    ],
)


def growth(phase: str = "copying", **others: Any) -> dict[str, Any]:
    """Where the change of the number of partitions stands, as a worker reports it."""
    copying = {"copied": 1_200, "to_copy": 5_000, "expected_s": 12.4}
    return {
        "phase": phase,
        "generation": 2,
        "partitions": [6],
        "began": AT - 40,
        "phase_began": AT - 20,
        "until": AT + 560 if phase in {"pausing", "copying"} else None,
        "reason": None,
        **(copying if phase == "copying" else dict.fromkeys(copying)),
    } | others


HELD_WHILE_SCALED = str(being_scaled("shipping", 6))


def scaled(phase: str = "copying", doing: str = "being scaled to 6 partitions", **others: Any) -> dict[str, Any]:
    """The answer of a service of two workers that is being scaled."""
    here: dict[str, Any] = {"growth": growth(phase, **others), "phase": doing, "held_back": [HELD_WHILE_SCALED]}
    return services(**here, workers=[member(1, 0, 1, phase=doing), member(2, 2, 3, phase=doing, told={**TWO, **here})])


def copy_of(number: int, **others: Any) -> dict[str, Any]:
    """How far a partition is on the worker that answered for it."""
    return {
        "partition": number,
        "worker": f"shipping-{number % 2 + 1}",
        "state": "caught up",
        "position": 12_480 + number,
        "end": 12_480 + number,
        "lag": 0,
        "freshness_s": 0.2,
    } | others


TABLE_LIST: dict[str, Any] = {
    "worker": "shipping-1",
    "tables": [
        {"table": "shop.customers", "held": "global", "topic": "shop.customers", "rows": 49_920,
         "partitions": [copy_of(number) for number in range(4)], "state": "caught up", "lag": 0, "freshness_s": 0.2},
        {"table": "shop.products", "held": "global", "topic": "shop.products", "rows": 1_107,
         "partitions": [copy_of(number) for number in range(4)], "state": "recovering",
         "lag": 21_703, "freshness_s": None},
        {"table": "shop.enriched-orders", "held": "partition", "topic": "shop.enriched-orders", "rows": 600_112,
         "partitions": [copy_of(number) for number in range(2)], "state": "caught up", "lag": 0, "freshness_s": 0.4},
    ],
}  # fmt: skip

_NAMES = ("Ada Lovelace", "Bo Diddley", "Chimamanda Adichie", "Zoë Ångström", "Đặng Thị Ngọc", "王秀英")


def found_row(number: int) -> dict[str, Any]:
    row = {
        "customer_id": f"c{number:04}",
        "name": _NAMES[number % len(_NAMES)],
        "email": None if number % 4 == 0 else f"customer{number}@example.com",
        "country": ("AT", "NO", "VN", "NG")[number % 4],
        "revision": number % 9 + 1,
    }
    return {"key": row["customer_id"], "row": row, "partition": number % 4, "offset": 100 + number, "revision": 3}


ROWS: dict[str, Any] = {
    "table": "shop.customers",
    "rows": [found_row(number) for number in range(2_040, 2_060)],
    "next": "bmV4dA.c2060",
    "partitions": [
        *(copy_of(number) for number in range(3)),
        copy_of(3, state="disconnected", freshness_s=100.0),
    ],
}

FIELDS = [
    {"name": "customer_id", "type": "str", "required": True, "default": None, "meaning": ""},
    {"name": "name", "type": "str", "required": True, "default": None, "meaning": "as the customer writes it"},
    {"name": "email", "type": "str | None", "required": False, "default": None, "meaning": ""},
    {"name": "country", "type": "str", "required": True, "default": None, "meaning": "ISO 3166"},
    {"name": "revision", "type": "int", "required": True, "default": None, "meaning": ""},
]

TABLE: dict[str, Any] = {
    "table": "shop.customers",
    "held": "global",
    "topic": "shop.customers",
    "key": "customer_id",
    "fields": FIELDS,
    "indexes": ["country"],
    "building": [],
    "rows": 49_920,
    "parked": 2,
    "disk_bytes": 8_212_480,
    "partitions": [
        copy_of(number, worker=f"shipping-{worker}", web=f"http://127.0.0.1:4100{worker}", rows=12_480)
        for number in range(4)
        for worker in (1, 2)
    ],
    "silent": [],
    "worker": "shipping-1",
    "page": {**ROWS, "rows": ROWS["rows"][:8]},
}  # fmt: skip

ROW: dict[str, Any] = {
    "table": "shop.customers",
    "key": "c2041",
    "row": {**found_row(2_041)["row"], "address": {"street": "Hauptstraße 1", "zip": "1010"}, "tags": ["vip", "new"]},
    "partition": 2,
    "offset": 9_020,
    "timestamp": 1_795_299_871_412,
    "revision": 8,
    "state": "caught up",
    "position": 12_482,
    "end": 12_482,
    "lag": 0,
    "freshness_s": 0.213,
    "worker": "shipping-1",
    "fields": FIELDS,
}


def lacking(number: int, partition: int, reference: str | None, **others: Any) -> dict[str, Any]:
    return {
        "id": f"shop.orders/{partition}/{4_100 + number}",
        "at": AT - 61 * number - partition,
        "key": f"o{partition}77{number}",
        "field": "customer_id",
        "reference": reference,
        "table": "shop.customers",
    } | others


JOINS: dict[str, Any] = {
    "joins": [
        {
            "join": "shop.enriched-orders",
            "into": "shop.enriched-orders",
            "source": "shop.orders",
            "input": "shop.orders",
            **counts(hits=1_204_088, joined=1_204_376, missing=322, waited=322, released=288, expired=16, parked=16),
            "waiting": 12,
            "partitions": [
                {
                    "partition": number,
                    "worker": f"shipping-{number // 2 + 1}",
                    **counts(hits=301_082 - 40 * number, missing=79 + number, waited=79 + number, released=72),
                    "expired": 4,
                    "parked": 4,
                    "waiting": 3,
                    "samples": {
                        "parked": [
                            lacking(each, number, f"c99{each}", cause=f"shop.customers has no row 'c99{each}'")
                            for each in range(2)
                        ],
                        "expired": [],
                        "missing": [lacking(0, number, "c990"), lacking(7, number, f"c80{number}")],
                    },
                }
                for number in range(4)
            ],
        }
    ],
    "silent": ["shipping-3"],
}
JOINS["joins"][0]["partitions"][2]["samples"]["missing"].append(lacking(9, 2, None))

LETTERS: dict[str, Any] = {
    "letters": [
        {
            "id": f"shop.orders/{number % 4}/{4_100 + number}",
            "at": f"2026-11-21T22:{10 - number:02}:09.412+00:00",
            "topic": "shop.orders",
            "partition": number % 4,
            "offset": 4_100 + number,
            "key": None if number == 5 else f"o{number}770",
            "cause": f"shop.customers has no row 'c99{number}'"
            if number != 5
            else "JSON is malformed: invalid (byte 3)",
        }
        for number in range(9)
    ],
    "next": "b2xkZXI",
}

LETTER: dict[str, Any] = {
    **LETTERS["letters"][0],
    "service": "shipping",
    "timestamp": 1_795_299_000_000,
    "value": {"order_id": "o0770", "customer_id": "c990", "product_id": "p12", "quantity": 2},
    "shown_as": "json",
    "left_out": None,
    "headers": [{"name": "trace", "value": "4bf92f3577b34da6"}, {"name": "empty", "value": None}],
    "settled": None,
}

TOPOLOGY: dict[str, Any] = {
    "nodes": [
        {"id": "t:orders", "kind": "topic", "name": "shop.orders", "rate": 1_210.0},
        {"id": "t:customers", "kind": "topic", "name": "shop.customers", "rate": 3.5},
        {"id": "t:products", "kind": "topic", "name": "shop.products", "rate": 0.0},
        {"id": "customers", "kind": "table", "name": "shop.customers", "rate": 3.5},
        {"id": "products", "kind": "table", "name": "shop.products", "rate": 0.0},
        {"id": "join", "kind": "join", "name": "shop.enriched-orders", "rate": 1_209.0},
        {"id": "t:enriched", "kind": "topic", "name": "shop.enriched-orders", "rate": 1_209.0},
        {"id": "t:letters", "kind": "topic", "name": "shipping.dead-letters", "rate": 0.2},
        {"id": "t:waiting", "kind": "topic", "name": "shipping.shop.enriched-orders.waiting", "rate": None},
        {"id": "stock", "kind": "decide", "name": "shop.stock", "rate": 12.0},
        {"id": "t:stock", "kind": "topic", "name": "shop.stock", "rate": 12.0},
        {"id": "stock-table", "kind": "table", "name": "shop.stock", "rate": 12.0},
    ],
    "edges": [
        {"from": "t:orders", "to": "join", "label": ""},
        {"from": "t:customers", "to": "customers", "label": ""},
        {"from": "t:products", "to": "products", "label": ""},
        {"from": "customers", "to": "join", "label": "customer_id"},
        {"from": "products", "to": "join", "label": "product_id"},
        {"from": "join", "to": "t:enriched", "label": ""},
        {"from": "join", "to": "t:letters", "label": "parked"},
        {"from": "join", "to": "t:waiting", "label": "waiting"},
        {"from": "t:waiting", "to": "join", "label": "released"},
        {"from": "t:orders", "to": "stock", "label": ""},
        {"from": "stock", "to": "t:stock", "label": ""},
        {"from": "t:stock", "to": "stock-table", "label": ""},
        {"from": "stock-table", "to": "stock", "label": "state"},
    ],
}

RECOVERING: dict[str, Any] = {
    "type": "urn:larder:recovering",
    "title": "The partition is recovering",
    "status": 503,
    "detail": "table shop.products, key p12: partition 1 is being read; nobody can say yet whether there is such a row",
    "declared": "table shop.products, key p12",
    "requires": "the partition of the key, caught up",
    "found": "partition 1 recovering, at 3110 of 12481",
    "do": "ask again in 8 s",
    "partition": 1,
    "state": "recovering",
    "position": 3_110,
    "end": 12_481,
    "expected_end_s": 7.7,
}

REFUSED: dict[str, Any] = {
    "refusals": [
        {
            "id": f"shop.requests/{number % 4}/{9_120 - number}",
            "at": "2026-11-20T10:00:00.000+00:00",
            "state": "shop.levels",
            "key": f"p{number}",
            "reason": f"only {number % 3} left",
        }
        for number in range(8)
    ],
    "next": "b2xkZXI",
    "beyond": False,
    "counted": {
        "total": 5_743,
        "whole": False,
        "reasons": [{"state": "shop.levels", "reason": "only … left", "count": 5_743, "samples": []}],
    },
}

ASKED = services(
    operators=[
        {
            "kind": "request",
            "name": "POST /orders",
            "state": "shop.enriched-orders",
            "into": ["shop.placed", "shop.paid"],
            "example": {"customer_id": "CUSTOMER_ID", "quantity": 1},
            "counts": {"decided": 8_120, "rows": 7_900, "emitted": 7_900, "refused": 220, "repeated": 31, "failed": 2},
        },
        {
            "kind": "request",
            "name": "POST /orders/{order_id}/cancel",
            "state": "shop.enriched-orders",
            "into": [],
            "example": {},
            "counts": {"decided": 12, "rows": 9, "emitted": 0, "refused": 3, "repeated": 0, "failed": 0},
        },
        {"kind": "copying", "name": "shop.copies", "counts": {"copied": 20}},
    ]
)


def story_step(place: str, after: int, latency: int | None, **others: Any) -> dict[str, Any]:
    topic, partition, offset = place.split("/")
    cause = None if latency is None else "shop.orders/2/4100"
    return {
        "topic": topic, "partition": int(partition), "offset": int(offset), "id": place, "kind": "record",
        "key": "o4100", "service": "shipping", "worker": "shipping-1", "at": "2026-11-21T09:30:00.000+00:00",
        "after_ms": after, "latency_ms": latency, "cause": cause, "trace": TRACE, "note": None, **others,
    }  # fmt: skip


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STORY = {
    "key": "o4100",
    "since": "2026-11-21T09:00:00.000+00:00",
    "until": "2026-11-21T10:00:00.000+00:00",
    "traces": [TRACE],
    "services": ["checkout", "shipping"],
    "took_ms": 340,
    "steps": [
        story_step("shop.orders/2/4100", 0, None, service="checkout", worker=None),
        story_step("shop.enriched-orders/2/97", 210, 210),
        story_step("shop.labels/0/12", 340, 130, key="l-4100"),
        story_step("shipping.refusals/1/3", 340, 130, kind="refusal", note="only <1> left"),
    ],
    "topics_read": 9,
    "records_read": 12_400,
    "missing_topics": ["shop.returns"],
    "whole": True,
}


def calling(**others: Any) -> dict[str, Any]:
    """What a worker says of a call that is well."""
    counts = {"arrived": 8_120, "begun": 8_201, "failed": 84, "done": 8_110, "given_up": 3, "parked": 1}
    return {
        "kind": "call", "name": "charge", "source": "shop.orders", "into": ["shop.paid"], "counts": counts,
        "waiting": 6, "running": 4, "hanging": 0, "oldest": AT - 2, "full": [],
        "breaker": {"state": "closed", "until": None},
    } | others  # fmt: skip


CALLED = services(
    operators=[calling(waiting=10_431, running=50, hanging=2, oldest=AT - 431, full=[0, 1],
                       breaker={"state": "open", "until": AT + 12})],
    workers=[member(1, 0, 1), member(2, 2, 3, told={**TWO, "operators": [
        calling(waiting=212, running=1, oldest=AT - 398, breaker={"state": "half-open", "until": AT - 1})]})],
)  # fmt: skip


def stored_call(number: int, **others: Any) -> dict[str, Any]:
    """A call that is not done, as a list shows it."""
    return {
        "id": f"mB2kPqcQTPuHFcWnyfnRcQ/0/{number}", "state": "waiting", "event": f"shop.orders/0/{number}",
        "event_key": f"c{number % 7}", "place": "YzE", "key": f"o{number}", "since": AT - 40 + number / 10,
        "attempt": 0, "failures": 0, "due": AT - 1, "begun": None, "cause": None,
    } | others  # fmt: skip


FAILING = {"state": "retrying", "attempt": 7, "failures": 7, "due": AT + 14,
           "cause": "Unavailable: <b>the provider</b> answered 503"}  # fmt: skip

CALLS: dict[str, Any] = {
    "call": "charge", "service": "shipping", "table": "shipping.charge.calls", "outcomes": "shipping.charge.outcomes",
    "calls": [
        stored_call(100, state="running", attempt=1, begun={"worker": "shipping-2", "at": AT - 1.2}),
        stored_call(101, **FAILING),
        *map(stored_call, range(102, 106)),
    ],
    "next": "bmV4dA.c2060",
}  # fmt: skip

CALL: dict[str, Any] = {
    **stored_call(101, **FAILING), "call": "charge", "service": "shipping",
    "value": {"order_id": "o101", "customer_id": "c3", "amount": 12}, "shown_as": "json",
    "headers": [{"name": "traceparent", "value": "00-4bf9"}],
}  # fmt: skip

PAGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "overview": ("/", "overview", TROUBLED),
    "tables": ("/tables", "tables", TABLE_LIST),
    "table": ("/tables/shop.customers", "table", TABLE),
    "rows": ("/tables/shop.customers/rows?prefix=c20&limit=20", "rows", {**ROWS, "indexes": ["country"]}),
    "row": ("/tables/shop.customers/rows/c2041", "row", ROW),
    "joins": ("/joins", "joins", JOINS),
    "dead-letters": ("/dead-letters", "dead-letters", {**LETTERS, "key": None}),
    "dead-letter": ("/dead-letters/shop.orders/0/4100", "dead-letter", LETTER),
    "refusals": ("/refusals", "refusals", {**REFUSED, "key": None}),
    "calls": ("/calls/charge?state=", "calls", CALLS),
    "call": ("/calls/charge/mB2kPqcQTPuHFcWnyfnRcQ/0/101", "call", CALL),
    "topology": ("/topology", "topology", TOPOLOGY),
    "trace": ("/trace?key=o4100", "trace", STORY),
    "no-trace": ("/trace", "trace", {**STORY, "key": "", "steps": [], "services": [], "traces": []}),
    "recovery": ("/recovery", "recovery", TROUBLED),
    "error": ("/tables/shop.products/rows/p12", "error", RECOVERING),
    "scaled": ("/services", "overview", scaled()),
    "asked": ("/services", "overview", ASKED),
    "called": ("/services", "overview", CALLED),
    "well": ("/services", "overview", WELL),
}
"""By name: the address, the template, and its data."""
