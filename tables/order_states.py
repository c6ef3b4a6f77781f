"""The states of an order, and what moves it from one to the next."""

from collections.abc import Mapping
from typing import Final, Literal

State = Literal["requested", "validated", "paid", "confirmed", "shipped", "rejected", "cancelled"]
Happening = Literal["checked", "valid", "invalid", "late", "paid", "unpaid", "sold", "shipped", "cancelled"]

MOVES: Final[Mapping[State, Mapping[Happening, State]]] = {
    "requested": {
        "checked": "requested",
        "valid": "validated",
        "invalid": "rejected",
        "late": "rejected",
        "cancelled": "cancelled",
    },
    "validated": {"paid": "paid", "unpaid": "rejected", "cancelled": "cancelled"},
    "paid": {"sold": "confirmed"},
    "confirmed": {"shipped": "shipped"},
    "shipped": {},
    "rejected": {},
    "cancelled": {},
}
"""For each state, what may happen in it, and the state that follows. Nothing else moves an order."""


def after(state: State) -> frozenset[State]:
    """Return all states that an order may come to from this one."""
    following = frozenset(each for each in MOVES[state].values() if each != state)
    return following.union(*map(after, following))


def is_early(happened: Happening, state: State) -> bool:
    """Whether something that moves no order of this state may still move it later, or never: it is no old news."""
    return not any(state in after(each) for each, moves in MOVES.items() if happened in moves)
