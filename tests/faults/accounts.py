"""The declarations of accounts and transfers: a debit of one account emits an event that later credits the other.

Each row names the event that it results from, so that a model can follow and compare.
"""

from __future__ import annotations

from tests.faults.accounts_judging import violations
from tests.faults.accounts_load import ACCOUNTS, load
from tests.faults.parts import Part
from tests.faults.plan import Plan

TEXT = """

class Opened(Row):
    account: str
    amount: int
    serial: int


class Transfer(Row):
    transfer_id: str
    source: str
    target: str
    amount: int
    serial: int


class Credit(Row):
    account: str
    amount: int
    serial: int


class Account(Row):
    account: str
    balance: int
    made_by: int
    kind: str
    revision: int = 0
    if CHANGED:
        added: str


openings = EventTopic("{prefix}.openings", Opened, key="account", owner="bank")
transfers = EventTopic("{prefix}.transfers", Transfer, key="transfer_id", owner="bank")
credits = EventTopic("{prefix}.credits", Credit, key="account", owner="{prefix}")
accounts = OwnerTopic("{prefix}.accounts", Account, key="account", revision="revision", owner="{prefix}")
ledger = service.table(accounts)


@service.decide([transfers.by("source"), openings, credits], state=ledger, into=[credits])
def book(event: Transfer | Opened | Credit, account: Account | None) -> Decision:
    balance = account.balance if account else 0
    if not isinstance(event, Transfer):
        kind = "opened" if isinstance(event, Opened) else "credited"
        return Decision(rows=Account(account=event.account, balance=balance + event.amount,
                                     made_by=event.serial, kind=kind, **ADDED))
    if balance < event.amount:
        return Decision(refuse=f"{balance} there")
    return Decision(rows=Account(account=event.source, balance=balance - event.amount,
                                 made_by=event.serial, kind="debited", **ADDED),
                    emit=Credit(account=event.target, amount=event.amount, serial=event.serial))
"""


def text(_: Plan) -> str:
    """Return the declarations, which are the same for all plans."""
    return TEXT


TRANSFERS = Part(
    text=text,
    load=load,
    judge=violations,
    events=["openings", "transfers"],
    results=["credits"],
    inputs=["{prefix}.transfers.by.source", "transfers", "openings", "credits"],
    owned=["accounts"],
    asked={"accounts": ACCOUNTS},
)
