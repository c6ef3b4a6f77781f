"""The declarations of a stock with decides: pieces are delivered, reserved, held for a time, and returned by a wake-up.

Each row names the event that it results from, so that a model can follow and compare.
"""

from __future__ import annotations

from tests.faults.parts import Part
from tests.faults.plan import Plan
from tests.faults.stock_judging import violations
from tests.faults.stock_load import PRODUCTS, load

TEXT = """

class Requested(Row):
    request_id: str
    product_id: str
    pieces: int
    serial: int
    until: float = 0.0


class Delivered(Row):
    product_id: str
    pieces: int
    serial: int


class Level(Row):
    product_id: str
    left: int
    made_by: int
    held: dict[str, float] = {}
    revision: int = 0
    if CHANGED:
        added: str


class Reserved(Row):
    request_id: str
    product_id: str
    pieces: int
    serial: int
    left: int


class GivenBack(Row):
    product_id: str
    pieces: int
    serial: int


requests = EventTopic("{prefix}.requests", Requested, key="request_id", owner="checkout")
deliveries = EventTopic("{prefix}.deliveries", Delivered, key="product_id", owner="supplier")
levels = OwnerTopic("{prefix}.levels", Level, key="product_id", revision="revision", owner="{prefix}")
reserved = EventTopic("{prefix}.reserved", Reserved, key="request_id", owner="{prefix}")
given_back = EventTopic("{prefix}.given-back", GivenBack, key="product_id", owner="{prefix}")
stock = service.table(levels)


@service.decide([requests.by("product_id"), deliveries], state=stock, into=[reserved, given_back])
def reserve(event: Requested | Delivered | WakeUp, level: Level | None) -> Decision:
    if isinstance(event, WakeUp):
        return give_back(event.at.timestamp(), level)
    level = level or Level(product_id=event.product_id, left=0, made_by=-1, **ADDED)
    if isinstance(event, Delivered):
        return Decision(rows=changed(level, level.left + event.pieces, event.serial, level.held))
    if level.left < event.pieces:
        return Decision(refuse=f"{level.left} left")
    left, held = level.left - event.pieces, level.held
    if event.until:
        held = held | {f"{event.serial} {event.pieces} {level.revision}": event.until}
    emit = Reserved(request_id=event.request_id, product_id=event.product_id, pieces=event.pieces,
                    serial=event.serial, left=left)
    return Decision(rows=changed(level, left, event.serial, held), emit=emit, wake=woken(level.product_id, held))


def give_back(now: float, level: Level | None) -> Decision:
    over = {name: until for name, until in level.held.items() if until <= now + 0.001}
    held = {name: until for name, until in level.held.items() if name not in over}
    emit = [GivenBack(product_id=level.product_id, pieces=int(name.split()[1]), serial=int(name.split()[0]))
            for name in over]
    left = level.left + sum(each.pieces for each in emit)
    return Decision(rows=changed(level, left, -1, held), emit=emit, wake=woken(level.product_id, held))


def changed(level: Level, left: int, made_by: int, held: dict[str, float]) -> Level:
    return Level(product_id=level.product_id, left=left, made_by=made_by, held=held, **ADDED)


def woken(key: str, held: dict[str, float]) -> list[Wake]:
    return [Wake(key, datetime.fromtimestamp(min(held.values()), UTC))] if held else []
"""


def text(_: Plan) -> str:
    """Return the declarations, which are the same for all plans."""
    return TEXT


STOCK = Part(
    text=text,
    load=load,
    judge=violations,
    events=["requests", "deliveries"],
    results=["reserved", "given-back"],
    inputs=["{prefix}.requests.by.product_id", "requests", "deliveries"],
    owned=["levels"],
    asked={"levels": PRODUCTS},
)
