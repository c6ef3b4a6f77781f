"""What became of records, for all that a service declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, TypeVar

from larder.clock import now
from larder.counters.cause_log import CauseLogs
from larder.counters.operator_counts import OperatorCounts, counts_of
from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.operators import Operator

Form = TypeVar("Form", bound=OperatorCounts)


class CountedOperator(NamedTuple):
    """An operator, and what it counts; the first of those that count together."""

    operator: Operator
    counts: OperatorCounts


class Counts:
    """What each operator counts, what each `.by` leaves out (by the topic that it fills), and causes by input."""

    def __init__(
        self, operators: Iterable[Operator], rekeyed: Iterable[str] = (), clock: Callable[[], float] = now
    ) -> None:
        self.causes = CauseLogs()
        self.rekeyings = {topic: RekeyCounts() for topic in rekeyed}
        self._operators: dict[str, CountedOperator] = {}
        for each in operators:
            self._operators.setdefault(each.counted_as, CountedOperator(each, counts_of(each, clock)))

    @property
    def operators(self) -> Collection[CountedOperator]:
        """All that count, as they were declared."""
        return self._operators.values()

    def handled(self, operator: Operator) -> int:
        """How many records an operator is through with."""
        return self._operators[operator.counted_as].counts.handled

    def of(self, operator: Operator, form: type[Form]) -> Form:
        """Give what an operator counts, in the form that its kind has."""
        return self.under(operator.counted_as, form)

    def under(self, counted_as: str, form: type[Form]) -> Form:
        """Give what is counted under an id."""
        counts = self._operators[counted_as].counts
        if not isinstance(counts, form):
            message = f"{counted_as} counts {type(counts).__name__}, not {form.__name__}"
            raise TypeError(message)
        return counts
