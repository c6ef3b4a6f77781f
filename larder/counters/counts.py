"""The outcomes of records, for everything that a service declares."""

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
    """An operator and its counts; the first one of operators that share them."""

    operator: Operator
    counts: OperatorCounts


class Counts:
    """The counts of operators, of rekeyings by their target topic, and of causes by input."""

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
        """All counts, in the order of the declarations."""
        return self._operators.values()

    def handled(self, operator: Operator) -> int:
        """Return how many records an operator has handled."""
        return self._operators[operator.counted_as].counts.handled

    def of(self, operator: Operator, form: type[Form]) -> Form:
        """Return the counts of an operator, in the form of its kind."""
        return self.under(operator.counted_as, form)

    def under(self, counted_as: str, form: type[Form]) -> Form:
        """Return the counts under an id; raise TypeError if they have another form."""
        counts = self._operators[counted_as].counts
        if not isinstance(counts, form):
            message = f"{counted_as} counts {type(counts).__name__}, not {form.__name__}"
            raise TypeError(message)
        return counts
