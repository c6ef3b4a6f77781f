"""Judges charges: each invoice has one result, in the order of its customer, and none is charged again for nothing.

The provider's record says which attempts were made. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tests.faults.history import NEVER, Charge, Seen, Violation
from tests.faults.parts import Case
from tests.faults.provider import CHARGED, REFUSED, TIMEOUT_SECONDS

HEARD_SECONDS = TIMEOUT_SECONDS / 2
"""An answer that comes so soon reaches a caller in time, also on a loaded machine."""


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    for topic in ("invoices", f"{case.prefix}.invoices.by.customer"):
        for letter in case.letters(topic):
            yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    invoices, results = _serials(case.of("invoices")), _serials(case.of("settled"))
    for customer in invoices.keys() | results.keys():
        yield from _settled_once(customer, invoices[customer], results[customer])
    by_key, written = _by_key(case), _written(case)
    for result in case.of("settled"):
        yield from _settled_rightly(result, by_key[str((result.value or {})["serial"])])
    yield from _made_once(by_key, written)
    trouble = _first_fault(case)
    for heard, again in _again(by_key, written):
        if _is_heard(heard) and again.answered < trouble:
            yield Violation("repeated", f"{again} although {heard}, before any fault")


def figures(case: Case) -> Iterator[str]:
    """Yield how many attempts were made again, and how many of these after an answer that came in time."""
    again = list(_again(_by_key(case), _written(case)))
    heard = sum(_is_heard(before) for before, _ in again)
    yield f"{len(case.history.charges)} charges, {len(again)} again, {heard} after an answer"


def _settled_once(customer: str, invoices: Sequence[int], results: Sequence[int]) -> Iterator[Violation]:
    """Each invoice of a customer has one result, and these have the order of the invoices."""
    asked, found = Counter(invoices), Counter(results)
    for serial in asked.keys() | found.keys():
        what = f"invoice {serial} of {customer} is {asked[serial]} times in its topic, and has {found[serial]} results"
        if not asked[serial]:
            yield Violation("invented", what)
        elif found[serial] != asked[serial]:
            yield Violation("lost" if found[serial] < asked[serial] else "doubled", what)
    if not found - asked:
        rest = iter(invoices)
        for serial in results:
            if serial not in rest:
                yield Violation("reordered", f"invoice {serial} of {customer}: {results} follow {invoices}")
                return


def _settled_rightly(result: Seen, charges: Sequence[Charge]) -> Iterator[Violation]:
    """What is paid was charged by that attempt, and what is given up was refused."""
    value = result.value or {}
    what = f"{value} at {result.partition}/{result.offset}; the provider has {charges}"
    if value["paid"] and not any(each.attempt == value["attempt"] and each.status == CHARGED for each in charges):
        yield Violation("invented", what)
    if not value["paid"] and not any(each.status == REFUSED for each in charges):
        yield Violation("misdecided", what)


def _made_once(by_key: Mapping[str, Sequence[Charge]], written: Counter[str]) -> Iterator[Violation]:
    """An attempt is written down before it begins, so each number is used once, for each time the invoice is there."""
    for key, charges in by_key.items():
        for attempt, times in Counter(each.attempt for each in charges).items():
            if times > written[key]:
                what = f"attempt {attempt} of invoice {key} was made {times} times: {charges}"
                yield Violation("repeated" if written[key] else "invented", what)


def _again(by_key: Mapping[str, Sequence[Charge]], written: Counter[str]) -> Iterator[tuple[Charge, Charge]]:
    """Yield each attempt that follows another one of its call. An invoice that is there twice has two calls."""
    for key, charges in by_key.items():
        if written[key] <= 1:
            yield from (pair for pair in pairwise(charges) if pair[0].attempt < pair[1].attempt)


def _is_heard(charge: Charge) -> bool:
    return charge.status == CHARGED and charge.answered - charge.sent < HEARD_SECONDS


def _first_fault(case: Case) -> float:
    return min((at for at, what in case.history.happened if what.startswith("fault ")), default=NEVER)


def _by_key(case: Case) -> Mapping[str, Sequence[Charge]]:
    found: dict[str, list[Charge]] = defaultdict(list)
    for each in sorted(case.history.charges, key=lambda charge: charge.attempt):
        found[each.key].append(each)
    return found


def _written(case: Case) -> Counter[str]:
    """Return how often each invoice is in its topic: a writer may have sent it twice."""
    return Counter(str((each.value or {})["serial"]) for each in case.of("invoices"))


def _serials(records: Sequence[Seen]) -> dict[str, list[int]]:
    """Return the serials by customer, in the order of the log."""
    found: dict[str, list[int]] = defaultdict(list)
    for each in records:
        found[each.key].append((each.value or {})["serial"])
    return found
