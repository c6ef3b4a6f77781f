"""A shop that takes requests: what is in stock, who has reserved it, and what follows from that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from larder import Decision, Delete, EventTopic, OwnerTopic, PassOn, Row, Service, Wake
from larder.testing import Driver
from larder.types import WakeUp

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RESERVE, RELEASE = "POST /reservations", "POST /reservations/{item}/release"


class Reserve(Row):
    item: str
    amount: int = 1
    minutes: int | None = None


class Release(Row):
    item: str


class Stock(Row):
    item: str
    free: int
    reserved: int = 0
    revision: int = 0


class Delivered(Row):
    item: str
    amount: int


class Reserved(Row):
    item: str
    amount: int


class Product(Row):
    item: str
    price: int


class Priced(Reserved):
    product: Product | None


class Total(Row):
    item: str
    reservations: int
    revision: int = 0


stock = OwnerTopic("stock", Stock, key="item", revision="revision", owner="rentals")
totals = OwnerTopic("totals", Total, key="item", revision="revision", owner="rentals")
products = OwnerTopic("products", Product, key="item", owner="catalogue")
delivered = EventTopic("delivered", Delivered, key="item", owner="depot")
reserved = EventTopic("reserved", Reserved, key="item", owner="rentals")
priced = EventTopic("priced", Priced, key="item", owner="rentals")


def rentals() -> Service:
    """Items are delivered, and reserved until they are released or the time is over."""
    service = Service("rentals")
    held = service.table(stock)
    service.join(reserved, service.table(products), into=priced, missing=PassOn)

    @service.decide(delivered, state=held)
    def keep(event: Delivered | WakeUp, row: Stock | None) -> Decision:
        if isinstance(event, WakeUp):
            return Decision(Stock(item=event.key, free=row.free + row.reserved)) if row else Decision()
        before = row or Stock(item=event.item, free=0)
        return Decision(Stock(item=event.item, free=before.free + event.amount, reserved=before.reserved))

    @service.request(RESERVE, state=held, into=reserved)
    def reserve(request: Reserve, row: Stock | None) -> Decision:
        if request.amount == 13:
            message = "nobody reserves as many"
            raise LookupError(message)
        before = row or Stock(item=request.item, free=1)
        if before.free < request.amount:
            return Decision(refuse=f"only {before.free} are free")
        item, amount, until = request.item, request.amount, NOON + timedelta(minutes=request.minutes or 0)
        return Decision(
            Stock(item=item, free=before.free - amount, reserved=before.reserved + amount),
            emit=Reserved(item=item, amount=amount),
            wake=() if request.minutes is None else Wake(item, until),
        )

    @service.request(RELEASE, state=held)
    def release(request: Release, row: Stock | None) -> Decision:
        return Decision(Delete(request.item)) if row else Decision(refuse="nothing is reserved")

    @service.fold(reserved, state=service.table(totals))
    def count(event: Reserved, row: Total | None) -> Total:
        return Total(item=event.item, reservations=1 + (row.reservations if row else 0))

    return service


def published(driver: Driver) -> dict[str, int]:
    """Count what the service has published since this was last asked, by topic, without those that got nothing."""
    topics = ("stock", "reserved", "priced", "totals", "rentals.refusals", "rentals.dead-letters")
    return {topic: count for topic in topics if (count := len(driver.read(topic)))}
