"""A stock for cluster tests: modules for workers, and checks of what they published.

Products have a fixed number of pieces, requests take one piece each, and deliveries add more. The checks only know
the published events, and the rule that a request takes a piece while there is one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from tests.support.topics import Sent

PARTITIONS = 4

STOCK = """
import os
from datetime import UTC, datetime, timedelta

from larder import Decision, Delete, Service, Wake
from larder.types import Near, WakeUp
from larder import EventTopic, OwnerTopic, Row


class Requested(Row):
    request_id: str
    product_id: str
    pieces: int = 1
    held_ms: int = 0


class Delivered(Row):
    product_id: str
    pieces: int


class Level(Row):
    product_id: str
    left: int
    held: dict[str, int] = {{}}
    revision: int = 0


class Reserved(Row):
    request_id: str
    product_id: str
    left: int
    worker: int = 0


class Released(Row):
    product_id: str
    pieces: int


requests = EventTopic("{prefix}.requests", Requested, key="request_id", owner="shop")
deliveries = EventTopic("{prefix}.deliveries", Delivered, key="product_id", owner="supplier")
levels = OwnerTopic("{prefix}.levels", Level, key="product_id", revision="revision", owner="{prefix}")
reserved = EventTopic("{prefix}.reserved", Reserved, key="request_id", owner="{prefix}")
released = EventTopic("{prefix}.released", Released, key="product_id", owner="{prefix}")

service = Service("{prefix}")
stock = service.table(levels)


@service.decide([requests.by("product_id"), deliveries], state=stock, into=[reserved, released])
def reserve(event: Requested | Delivered | WakeUp, level: Level | None, near: Near) -> Decision:
    if isinstance(event, WakeUp):
        return give_back(event, level)
    level = level or Level(product_id=event.product_id, left=0)
    if isinstance(event, Delivered):
        return Decision(rows=Level(product_id=level.product_id, left=level.left + event.pieces, held=level.held))
    if level.left < event.pieces:
        return Decision(refuse=f"only {{level.left}} left")
    left = level.left - event.pieces
    if not event.held_ms:
        return Decision(rows=Level(product_id=level.product_id, left=left, held=level.held),
                        emit=Reserved(request_id=event.request_id, product_id=event.product_id, left=left,
                                      worker=os.getpid()))
    at = datetime.now(UTC) + timedelta(milliseconds=event.held_ms)
    held = level.held | {{event.request_id: event.pieces}}
    return Decision(rows=Level(product_id=level.product_id, left=left, held=held),
                    wake=Wake(level.product_id, at))


def give_back(event: WakeUp, level: Level | None) -> Decision:
    if level is None or not level.held:
        return Decision()
    pieces = sum(level.held.values())
    return Decision(rows=Level(product_id=level.product_id, left=level.left + pieces),
                    emit=Released(product_id=level.product_id, pieces=pieces))
"""


def deliveries(pieces: Mapping[str, int]) -> list[Sent]:
    """Return the first deliveries of each product."""
    return [Sent(product, {"product_id": product, "pieces": count}) for product, count in pieces.items()]


def requests(first: int, products: Sequence[str], **more: Any) -> list[Sent]:
    """Return a request for each of `products`, numbered from `first`."""
    return [
        Sent(f"r{number}", {"request_id": f"r{number}", "product_id": product, **more})
        for number, product in enumerate(products, first)
    ]


def decoded(records: Iterable[ConsumerRecord]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(record.value) for record in records]


def judge_chain(records: Iterable[ConsumerRecord], *, revised_deletions: bool = True) -> None:
    """Check that each row is based on the revision before it, and that the writers' generation never falls.

    Without `revised_deletions`, a deletion may have the revision of the row that it deletes.
    """
    revisions: dict[bytes, int] = {}
    generations: defaultdict[int, int] = defaultdict(int)
    for record in records:
        headers = dict(record.headers)
        based_on = headers.get("larder.based-on")
        known = revisions.get(record.key)
        assert (None if based_on is None else int(based_on)) == known, (record.key, record.offset, based_on, known)
        own = headers.get("larder.revision") if record.value is None else None
        if record.value is None and own is None and not revised_deletions:
            revision = known
        else:
            revision = int(own) if own is not None else msgspec.json.decode(record.value)["revision"]
            assert known is None or revision > known
        revisions[record.key] = revision
        generation = int(headers["larder.generation"])
        assert generation >= generations[record.partition]
        generations[record.partition] = generation


def judge_sold(
    delivered: Mapping[str, int], asked: Mapping[str, str], reserved: Sequence[Mapping[str, Any]],
    refused: Sequence[Mapping[str, Any]], levels: Mapping[str, Mapping[str, Any]],
) -> None:  # fmt: skip
    """Check that each request was answered once, no piece was sold twice, and none was refused while there was one."""
    answered = Counter([row["request_id"] for row in reserved] + [row["event"]["request_id"] for row in refused])
    assert answered == Counter(asked.keys()), (answered - Counter(asked), Counter(asked) - answered)
    sold = Counter(row["product_id"] for row in reserved)
    wanted = Counter(asked.values())
    for product, pieces in delivered.items():
        assert sold[product] == min(pieces, wanted[product]), (product, pieces, sold[product], wanted[product])
        assert levels[product]["left"] == pieces - sold[product]
    lefts = Counter((row["product_id"], row["left"]) for row in reserved)
    assert max(lefts.values(), default=1) == 1, "two requests got the same piece"
