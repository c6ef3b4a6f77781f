"""The declarations of bookings: clients book and return seats over HTTP, and an owner adds seats by events.

Each row names the request or the event that it results from, so that a model can follow and compare.
"""

from __future__ import annotations

from tests.faults.bookings_judging import violations
from tests.faults.bookings_load import SHOWS, load
from tests.faults.parts import Part
from tests.faults.plan import Plan

TEXT = """

class Book(Row):
    show: str
    serial: int
    seats: int


class Added(Row):
    show: str
    seats: int
    serial: int


class Show(Row):
    show: str
    free: int
    made_by: int
    revision: int = 0


class Booked(Row):
    show: str
    serial: int
    seats: int
    free: int


additions = EventTopic("{prefix}.additions", Added, key="show", owner="theatre")
shows = OwnerTopic("{prefix}.shows", Show, key="show", revision="revision", owner="{prefix}")
booked = EventTopic("{prefix}.booked", Booked, key="show", owner="{prefix}")
programme = service.table(shows)


@service.decide(additions, state=programme)
def add(event: Added, show: Show | None) -> Decision:
    return Decision(Show(show=event.show, free=(show.free if show else 0) + event.seats, made_by=event.serial))


@service.request("POST /bookings", state=programme, into=booked)
def book(request: Book, show: Show | None) -> Decision:
    free = show.free if show else 0
    if free < request.seats:
        return Decision(refuse=f"{free} free")
    left = free - request.seats
    event = Booked(show=request.show, serial=request.serial, seats=request.seats, free=left)
    return Decision(Show(show=request.show, free=left, made_by=request.serial), emit=event)
"""


def text(_: Plan) -> str:
    """Return the declarations, which are the same for all plans."""
    return TEXT


BOOKINGS = Part(
    text=text,
    load=load,
    judge=violations,
    events=["additions"],
    results=["booked"],
    inputs=["additions"],
    owned=["shows"],
    asked={"shows": SHOWS},
)
