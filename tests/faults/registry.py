"""All parts of the workload, and those of a seed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.accounts import TRANSFERS
from tests.faults.bookings import BOOKINGS
from tests.faults.charges import CHARGES
from tests.faults.labels import LABELS
from tests.faults.orders import ORDERS
from tests.faults.parts import Part
from tests.faults.plan import Plan
from tests.faults.shop import SHOP
from tests.faults.stock import STOCK

PARTS = {
    "shop": SHOP,
    "stock": STOCK,
    "transfers": TRANSFERS,
    "labels": LABELS,
    "bookings": BOOKINGS,
    "charges": CHARGES,
    "orders": ORDERS,
}


def parts_of(plan: Plan) -> Sequence[Part]:
    return [PARTS[name] for name in plan.parts]
