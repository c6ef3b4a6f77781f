"""Decides as values and in memory: refused declarations, and the outcome of events."""

# ruff: noqa: ARG001, ARG005 - a decide takes its event and its row, whether it uses them or not
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Decision, Delete, EventTopic, OwnerTopic, Row, Service, Wake
from larder.declaring.checks.declarations import TopicFacts, problems
from larder.testing import run_in_memory
from larder.types import Near, Refusal, WakeUp

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EAST, WEST = timezone(timedelta(hours=1)), timezone(timedelta(hours=-1))


class Moved(Row):
    account: str
    to: str
    amount: int


class Credited(Row):
    account: str
    amount: int


class Account(Row):
    account: str
    balance: int
    revision: int = 0


class Opened(Row):
    account: str
    by_number: int = 0


accounts_topic = OwnerTopic("bank.accounts", Account, key="account", revision="revision", owner="bank")
moves = EventTopic("bank.moves", Moved, key="account")
credits = EventTopic("bank.credits", Credited, key="account", owner="bank")  # noqa: A001 - what they are
opened = EventTopic("bank.opened", Opened, key="account")
opened_rows = OwnerTopic("bank.opened-rows", Opened, key="account", owner="front-desk")


def bank() -> Service:
    service = Service("bank")
    accounts = service.table(accounts_topic)

    @service.decide([credits, moves], state=accounts, into=credits)
    def transfer(event: Moved | Credited, account: Account | None) -> Decision:
        balance = account.balance if account else 0
        if isinstance(event, Credited):
            return Decision(rows=Account(account=event.account, balance=balance + event.amount))
        if balance < event.amount:
            return Decision(refuse=f"a balance of {balance} is too low")
        return Decision(
            rows=Account(account=event.account, balance=balance - event.amount),
            emit=Credited(account=event.to, amount=event.amount),
        )

    return service


def said(service: Service, facts: dict[str, TopicFacts | None] | None = None) -> str:
    return "\n".join(map(str, problems([service], facts)))


def final(records: list[Any]) -> dict[str, int]:
    return {record.row.account: record.row.balance for record in records}


@given(
    st.lists(
        st.builds(Moved, account=st.sampled_from("abc"), to=st.sampled_from("abc"), amount=st.integers(0, 20)),
        max_size=30,
    )
)
def test_what_is_moved_between_accounts_is_neither_lost_nor_made(wanted: list[Moved]) -> None:
    start = [Credited(account=name, amount=10) for name in "abc"]
    result = run_in_memory(bank(), {credits: start, moves: wanted})
    balances = final(result["bank.accounts"])
    assert sum(balances.values()) == 30
    assert all(balance >= 0 for balance in balances.values())
    assert len(result["bank.credits"]) + len(result["bank.refusals"]) == len(wanted)
    revisions: dict[str, int] = {}
    for record in result["bank.accounts"]:
        assert record.row.revision == revisions.get(record.row.account, 0) + 1
        revisions[record.row.account] = record.row.revision


def test_a_refusal_is_an_event_with_its_reason() -> None:
    move = Moved(account="a", to="b", amount=1)
    (refused,) = run_in_memory(bank(), {moves: [move]})["bank.refusals"]
    assert refused.row == Refusal(
        id="bank.moves/0/0",
        state="bank.accounts",
        key="a",
        reason="a balance of 0 is too low",
        event={"account": "a", "to": "b", "amount": 1},
    )
    assert bank().refusals.row is Refusal


def test_a_row_is_woken_at_its_time_and_may_be_deleted() -> None:
    service = Service("bank")
    accounts = service.table(accounts_topic)

    @service.decide(opened, state=accounts)
    def close(event: Opened | WakeUp, account: Account | None) -> Decision:
        if isinstance(event, WakeUp):
            assert event.at == NOON
            return Decision(rows=Delete(event.key))
        return Decision(rows=Account(account=event.account, balance=1), wake=Wake(event.account, NOON))

    given_ = {opened: [Opened(account="a")]}
    assert [record.row for record in run_in_memory(service, given_)["bank.accounts"]] == [
        Account(account="a", balance=1, revision=1)
    ]
    assert len(run_in_memory(service, given_, until=NOON - timedelta(seconds=1))["bank.accounts"]) == 1
    last = run_in_memory(service, given_, until=NOON)["bank.accounts"][-1]
    assert (last.key, last.value) == (b"a", None)


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=EAST), datetime(9999, 12, 31, 23, 30, tzinfo=WEST)])
def test_a_wake_up_at_a_time_outside_utc_dead_letters_the_event(at: datetime) -> None:
    service = Service("bank")
    accounts = service.table(accounts_topic)

    @service.decide(opened, state=accounts)
    def close(event: Opened | WakeUp, account: Account | None) -> Decision:
        key = event.key if isinstance(event, WakeUp) else event.account
        return Decision(rows=Account(account=key, balance=1), wake=Wake(key, at))

    made = run_in_memory(service, {opened: [Opened(account="a")]}, until=NOON)
    (letter,) = made["bank.dead-letters"]
    cause = (dict(letter.headers)["larder.cause"] or b"").decode()
    assert f"a time in the years 1 to 9999 in UTC; it gave {at.isoformat()}" in cause
    assert made["bank.accounts"] == []


def test_a_fold_gives_the_row_itself_and_reads_near() -> None:
    service = Service("bank")
    accounts = service.table(accounts_topic)

    @service.fold(credits, state=accounts)
    def total(event: Credited, account: Account | None, near: Near) -> Account | Delete | None:
        assert near.get(accounts, event.account) == account
        if event.amount == 0:
            return Delete(event.account)
        return Account(account=event.account, balance=event.amount + (account.balance if account else 0))

    result = run_in_memory(service, {credits: [Credited(account="a", amount=amount) for amount in (1, 2, 0, 5)]})
    assert [record.value and record.row.balance for record in result["bank.accounts"]] == [1, 3, None, 5]
    assert "bank.refusals" not in result


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        ("nonsense", "must give a Decision or None; it gave 'nonsense'"),
        (Decision(rows=Opened(account="a")), "must give rows of Account and Delete; it gave Opened("),
        (
            Decision(rows=[Account(account="a", balance=1), Delete("a")]),
            "must give one row for a key; it gave several",
        ),
        (Decision(emit=Opened(account="a")), "must emit Credited, which `into` has topics for; it emitted Opened("),
        (Decision(rows=Delete("a"), refuse="no"), "must change no row and set no wake-up where it refuses"),
        (Decision(wake=Wake("a", NOON)), "must take WakeUp as a type of its first parameter"),
        (Decision(rows=Account(account="a", balance="x")), "writing a row of bank.accounts raised ValidationError"),  # type: ignore[arg-type]
        (Decision(rows=Account(account=3, balance=1)), "a text key requires a value of that type; found 3"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_decision_dead_letters_the_event_and_changes_nothing(result: Any, cause: str) -> None:
    service = Service("bank")
    accounts = service.table(accounts_topic)

    @service.decide(opened, state=accounts, into=credits)
    def wrong(_: Opened, account: Account | None) -> Any:
        assert account is None
        return result

    made = run_in_memory(service, {opened: [Opened(account="a")]})
    (letter,) = made["bank.dead-letters"]
    assert cause in (dict(letter.headers)["larder.cause"] or b"").decode()
    assert made["bank.accounts"] == made["bank.credits"] == made["bank.refusals"] == []


def test_a_state_is_a_co_partitioned_table_of_the_service_that_owns_its_topic() -> None:
    service = Service("shop")
    service.decide(moves, state=service.global_table(accounts_topic))(lambda event, row: None)
    found = said(service)
    assert "a state requires a co-partitioned table of its own service; found a global table of shop" in found
    assert "service shop into bank.accounts: only the owner of a topic writes it; found owner bank" in found


def test_all_mistakes_of_a_decide_are_reported_at_once() -> None:
    service = Service("bank")
    accounts = service.table(accounts_topic)

    @service.decide([opened.by("by_number"), accounts_topic], state=accounts, into=[credits, accounts_topic])  # type: ignore[list-item]
    async def wrong(event: Opened, account: Account | None) -> Decision:
        return Decision()

    @service.decide([opened.by("nowhere"), opened.by("by_number")], state=accounts)
    def other(event: Moved, account: Account) -> Account:
        return account

    service.fold((), state=accounts)
    found = said(service)
    assert "a decide requires topics of events as its inputs; found OwnerTopic bank.accounts" in found
    assert "a decide requires topics of events for what it emits; found OwnerTopic bank.accounts" in found
    assert "a state requires one function, which sees all of its events in their order; found several decides" in found
    assert '.by requires a field of Opened; found "nowhere"' in found
    assert "a key of bank.accounts requires a field of type str; found Opened.by_number: int" in found
    assert "parameter event requires the type Opened too; found Moved" in found
    assert "parameter account requires the type Account | None; found Account" in found
    assert "the result requires the type Decision | None; found Account" in found
    assert "fold bank.accounts: a decide requires at least one input; found none" in found
    assert "fold bank.accounts: requires a function; found none" in found


def test_decides_that_feed_one_another_in_a_circle_are_refused_in_memory() -> None:
    service = Service("bank")
    here = service.table(accounts_topic)
    there = service.table(OwnerTopic("bank.others", Account, key="account", revision="revision", owner="bank"))
    back = EventTopic("bank.back", Opened, key="account")
    service.decide(credits, state=here, into=back)(lambda event, row: None)
    service.decide(back, state=there, into=credits)(lambda event, row: None)
    with pytest.raises(Exception, match=r"a circle of bank\.(accounts|others)"):
        run_in_memory(service, {credits: []})


def test_rekeyed_rows_require_results_with_their_key_and_revision() -> None:
    class Held(Account):
        holder: Account

    unrevised = OwnerTopic("bank.held", Held, key="account", owner="other")
    service = Service("other")
    service.join(accounts_topic.by("account"), service.table(accounts_topic).on("account", "holder"), into=unrevised)
    found = said(service)
    assert "rekeyed rows require an owner topic with their revision for their results" in found
    assert "found revision 'revision' of bank.accounts, None of OwnerTopic bank.held" in found
    service.global_table(unrevised)
    assert "rekeyed rows require that their results are held by partition" in said(service)


def test_a_decide_refuses_rekeyed_rows() -> None:
    service = Service("bank")
    service.decide(accounts_topic.by("account"), state=service.table(accounts_topic))(lambda event, row: None)
    assert "a decide requires events, also where they are rekeyed; found OwnerTopic bank.accounts" in said(service)


def test_all_mistakes_of_a_reaction_are_reported_at_once() -> None:
    service, other = Service("bank"), Service("other")
    owned, everywhere = service.table(accounts_topic), service.global_table(opened_rows)
    service.fold(credits, state=owned)(lambda event, row: None)
    service.on_change(owned, into=credits)(lambda old: None)
    service.on_change(everywhere, into=[credits, accounts_topic])(lambda old, new: None)  # type: ignore[list-item]
    service.on_change(other.table(opened_rows))
    service.on_change(accounts_topic)(lambda old, new: None)  # type: ignore[arg-type]
    service.on_change(everywhere, into=credits)(lambda old, new: None)

    @service.on_change(everywhere)
    def typed(old: Account | None, new: Opened) -> None:
        return None

    found = said(service)
    assert "a reaction requires a table that is followed; found one that bank decides on" in found
    assert "requires a function of the old row and the new one" in found
    assert "a reaction requires topics of events for what it emits; found OwnerTopic bank.accounts" in found
    assert "a reaction requires a table of its own service; found one of other" in found
    assert "a reaction requires a table of its service; found OwnerTopic bank.accounts" in found
    assert "a reaction on a global table emits nothing: each worker would; found into=bank.credits" in found
    assert "parameter old requires the type Opened | None; found" in found
    assert "parameter new requires the type Opened | None; found Opened" in found
