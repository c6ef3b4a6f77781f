"""The declarations of rows that are rekeyed by a field that changes: addresses of clients, joined into labels."""

from __future__ import annotations

from tests.faults.labels_judging import violations, waits
from tests.faults.labels_load import load
from tests.faults.parts import Part
from tests.faults.plan import Plan
from tests.faults.shop_load import keys

TEXT = """

class Client(Row):
    client_id: str
    name: str
    revision: int


class Address(Row):
    address_id: str
    client_id: str
    name: str
    revision: int


class Label(Address):
    client: Client


clients = OwnerTopic("{prefix}.clients", Client, key="client_id", revision="revision", owner="crm")
addresses = OwnerTopic("{prefix}.addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("{prefix}.labels", Label, key="address_id", revision="revision", owner="{prefix}")
service.join(addresses.by("client_id"), service.table(clients), into=labels, missing={missing})
"""


def text(plan: Plan) -> str:
    """Return the declarations. Some plans wait for clients, others drop the labels without a client."""
    missing = "Wait(seconds=600).then(DeadLetter)" if waits(plan) else "Drop"
    return TEXT.replace("{missing}", missing)


LABELS = Part(
    text=text,
    load=load,
    judge=violations,
    events=[],
    results=[],
    inputs=["addresses", "{prefix}.addresses.by.client_id"],
    followed=["clients", "addresses"],
    owned=["labels"],
    hops=["{prefix}.labels.joined"],
    asked={"clients": keys("c")},
)
