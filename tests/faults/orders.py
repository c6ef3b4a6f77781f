"""The declarations of orders: a process in one service, from a request over HTTP to money and pieces.

A request places an order. The shelf of its item follows the changes of orders and reserves pieces, a call has valid
orders charged, and the order follows what both say. What is lost gives its pieces and its money back. Each row names
what it results from, so that a model can follow and compare.
"""

from __future__ import annotations

from tests.faults.orders_judging import LATE_SECONDS, PRICE, WITHIN_SECONDS, figures, violations
from tests.faults.orders_load import ITEMS, load
from tests.faults.parts import Part
from tests.faults.plan import Plan
from tests.faults.provider import TIMEOUT_SECONDS

TEXT = """
import time
from datetime import timedelta

import aiohttp
from msgspec.structs import replace

from larder import Retry, Unavailable
from larder.types import Attempt, GaveUp, Near


class Wanted(Row):
    order_id: str
    item: str
    pieces: int
    serial: int


class Unwanted(Row):
    order_id: str
    serial: int


class SaleChange(Row):
    order_id: str
    item: str
    pieces: int
    state: str
    step: int


class Sale(SaleChange):
    made_by: int
    placed_at: float
    changed_at: float
    revision: int = 0


class Supplied(Row):
    item: str
    pieces: int
    serial: int


class Shelf(Row):
    item: str
    free: int = 0
    reserved: dict[str, int] = {}
    sold: int = 0
    supplied: int = 0
    made_by: str = ""
    revision: int = 0


class ShelfNews(Row):
    order_id: str
    happened: str
    free: int


class Due(Row):
    order_id: str
    amount: int


class Void(Row):
    order_id: str


class Payment(Row):
    order_id: str
    happened: str
    attempt: int
    given_up: bool = False


class Voided(Row):
    order_id: str
    attempt: int


supplies = EventTopic("{prefix}.supplies", Supplied, key="item", owner="supplier")
sales = OwnerTopic("{prefix}.sales", Sale, key="order_id", revision="revision", owner="{prefix}")
sale_changes = EventTopic("{prefix}.sale-changes", SaleChange, key="order_id", owner="{prefix}")
shelves = OwnerTopic("{prefix}.shelves", Shelf, key="item", revision="revision", owner="{prefix}")
shelf_news = EventTopic("{prefix}.shelf-news", ShelfNews, key="order_id", owner="{prefix}")
dues = EventTopic("{prefix}.dues", Due, key="order_id", owner="{prefix}")
voids = EventTopic("{prefix}.voids", Void, key="order_id", owner="{prefix}")
payments = EventTopic("{prefix}.payments", Payment, key="order_id", owner="{prefix}")
voided = EventTopic("{prefix}.voided", Voided, key="order_id", owner="{prefix}")
sales_here = service.table(sales)
shelves_here = service.table(shelves)

MOVES = {
    "requested": {"reserved": "valid", "lacking": "rejected", "late": "rejected", "cancelled": "cancelled"},
    "valid": {"paid": "paid", "unpaid": "rejected", "cancelled": "cancelled"},
    "paid": {"sold": "confirmed"},
}


@service.request("POST /sales", state=sales_here, into=sale_changes)
def place_sale(wanted: Wanted, sale: Sale | None, near: Near) -> Decision:
    if sale is not None:
        return Decision(refuse="there is such an order")
    now = near.now.timestamp()
    placed = Sale(order_id=wanted.order_id, item=wanted.item, pieces=wanted.pieces, state="requested", step=1,
                  made_by=wanted.serial, placed_at=now, changed_at=now)
    return Decision(placed, emit=sale_change(placed), wake=Wake(placed.order_id, near.now + timedelta(seconds={late})))


@service.request("POST /sales/{order_id}/cancel", state=sales_here, into=[sale_changes, voids])
def cancel_sale(unwanted: Unwanted, sale: Sale | None, near: Near) -> Decision:
    if sale is None:
        return Decision(refuse="there is no such order")
    moved = move_sale(sale, "cancelled", near, unwanted.serial)
    return moved or Decision(refuse=f"the order is {sale.state}")


@service.decide([shelf_news, payments], state=sales_here, into=[sale_changes, dues, voids])
def follow_sale(event: ShelfNews | Payment | WakeUp, sale: Sale | None, near: Near) -> Decision | None:
    if sale is None:
        return Decision(refuse="there is no such order")
    return move_sale(sale, "late" if isinstance(event, WakeUp) else event.happened, near)


def move_sale(sale: Sale, happened: str, near: Near, made_by: int = -1) -> Decision | None:
    state = MOVES.get(sale.state, {}).get(happened)
    if state is None:
        return None
    now = near.now.timestamp()
    moved = replace(sale, state=state, step=sale.step + 1, made_by=made_by, changed_at=now)
    return Decision(moved, emit=[sale_change(moved), *owed(sale, moved)])


def owed(before: Sale, sale: Sale) -> list[Due | Void]:
    if sale.state == "valid":
        return [Due(order_id=sale.order_id, amount={price} * sale.pieces)]
    lost = before.state == "valid" and sale.state in {"rejected", "cancelled"}
    return [Void(order_id=sale.order_id)] if lost else []


def sale_change(sale: Sale) -> SaleChange:
    return SaleChange(order_id=sale.order_id, item=sale.item, pieces=sale.pieces, state=sale.state, step=sale.step)


@service.decide([sale_changes.by("item"), supplies], state=shelves_here, into=shelf_news)
def keep_shelf(event: SaleChange | Supplied, shelf: Shelf | None) -> Decision | None:
    shelf = shelf or Shelf(item=event.item)
    if isinstance(event, Supplied):
        made_by = f"supply {event.serial}"
        supplied = shelf.supplied + event.pieces
        return Decision(replace(shelf, free=shelf.free + event.pieces, supplied=supplied, made_by=made_by))
    made_by, order = f"{event.order_id} {event.state}", event.order_id
    if event.state == "requested":
        if event.pieces > shelf.free:
            return Decision(emit=ShelfNews(order_id=order, happened="lacking", free=shelf.free))
        reserved = shelf.reserved | {order: event.pieces}
        shelf = replace(shelf, free=shelf.free - event.pieces, reserved=reserved, made_by=made_by)
        return Decision(shelf, emit=ShelfNews(order_id=order, happened="reserved", free=shelf.free))
    pieces = shelf.reserved.get(order, 0)
    rest = {each: held for each, held in shelf.reserved.items() if each != order}
    if event.state == "paid":
        if not pieces:
            return Decision(refuse="nothing is reserved")
        shelf = replace(shelf, reserved=rest, sold=shelf.sold + pieces, made_by=made_by)
        return Decision(shelf, emit=ShelfNews(order_id=order, happened="sold", free=shelf.free))
    if event.state in {"rejected", "cancelled"} and pieces:
        return Decision(replace(shelf, reserved=rest, free=shelf.free + pieces, made_by=made_by))
    return None


async def provide(what: str, attempt: Attempt, amount: int) -> int:
    headers = {"Idempotency-Key": attempt.key, "Attempt": str(attempt.number), "Sent-At": str(time.time())}
    headers["Amount"] = str(amount)
    async with aiohttp.ClientSession() as session:
        async with session.post("{provider}/orders/" + what, headers=headers) as answer:
            if answer.status >= 500:
                raise Unavailable(f"the provider answered {answer.status}")
            return answer.status


def not_paid(due: Due, why: GaveUp) -> Payment:
    return Payment(order_id=due.order_id, happened="unpaid", attempt=why.attempts, given_up=True)


@service.call(
    dues, into=payments, key=lambda due: due.order_id, otherwise=not_paid, timeout={timeout},
    outages=[aiohttp.ClientError], retry=Retry(first=0.2, most=1.0, within={within}, attempts=100),
    only_while=(sales_here, lambda sale: sale.state == "valid"),
)
async def take_money(due: Due, attempt: Attempt) -> Payment:
    paid = await provide("charges", attempt, due.amount) == 200
    return Payment(order_id=due.order_id, happened="paid" if paid else "unpaid", attempt=attempt.number)


@service.call(
    voids, into=voided, key=lambda void: void.order_id, timeout={timeout}, outages=[aiohttp.ClientError],
    retry=Retry(first=0.2, most=1.0, within=600.0, attempts=100),
)
async def return_money(void: Void, attempt: Attempt) -> Voided:
    await provide("voids", attempt, 0)
    return Voided(order_id=void.order_id, attempt=attempt.number)
"""

VALUES = {"{timeout}": TIMEOUT_SECONDS, "{within}": WITHIN_SECONDS, "{late}": LATE_SECONDS, "{price}": PRICE}


def text(_: Plan) -> str:
    """Return the declarations, which are the same for all plans."""
    found = TEXT
    for name, value in VALUES.items():
        found = found.replace(name, str(value))
    return found


ORDERS = Part(
    text=text,
    load=load,
    judge=violations,
    figures=figures,
    events=["supplies", "voids", "voided"],
    results=["sale-changes", "shelf-news", "dues", "payments"],
    inputs=["supplies", "sale-changes", "shelf-news", "dues", "voids", "payments"],
    owned=["sales", "shelves"],
    asked={"shelves": ITEMS},
)
