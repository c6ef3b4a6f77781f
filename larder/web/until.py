"""What a client waits for: a row that satisfies a declared predicate, for so many seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from larder.web.parameters import mistake
from larder.web.read_options import LONGEST_WAIT, USUAL_WAIT

if TYPE_CHECKING:
    from larder.declaring.predicates import Predicate
    from larder.web.parameters import Query
    from larder.web.sources import Sources

WAIT, UNTIL = "wait", "until"
PARAMETERS: Final = (WAIT, UNTIL)


class Until(NamedTuple):
    """The predicate that a row has to satisfy (None: it has to exist), and how long a client waits for it."""

    predicate: Predicate | None
    seconds: float

    def query(self) -> list[tuple[str, str]]:
        """Return it as the parameters of a query."""
        return [(WAIT, f"{self.seconds:g}"), *([] if self.predicate is None else [(UNTIL, self.predicate.name)])]


def until_of(asked: Query, here: Sources, table: str) -> Until | None:
    """Read what a client waits for; None if it does not wait."""
    name, seconds = asked.text(UNTIL), asked.number(WAIT, 0, LONGEST_WAIT)
    if name is None and seconds is None:
        return None
    declared = {each.name: each for each in here.predicates if each.table.name == table}
    if name is not None and name not in declared:
        there = ", ".join(sorted(declared)) or "none"
        requires = f"requires a predicate of {table}: {there}"
        raise mistake(UNTIL, requires, repr(name), "use one of those")
    return Until(None if name is None else declared[name], USUAL_WAIT if seconds is None else seconds)
