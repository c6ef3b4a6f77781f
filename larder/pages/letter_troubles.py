"""Troubles that dead letters reveal. Pure; from the answer of `GET /services?all=1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from larder.observability.conditions import Severity
from larder.pages import totals
from larder.pages.trouble import Trouble
from larder.pages.wording import number, several, share

Data = Mapping[str, Any]

# The share of an input's records that may become dead letters before this becomes the first trouble.
MUCH = 0.1


def letter_troubles(services: Data) -> Iterator[Trouble]:
    """Yield unsettled dead letters, and for other inputs how many records became dead letters since the start."""
    since_start = {each["topic"]: each for each in totals.dead_letters(services)}
    if services.get("unsettled", True) is None:
        yield Trouble(
            Severity.HINT,
            "The number of dead letters in their topic is not known yet",
            "They are counted in the background. Reload in a moment, and check that the broker is reachable",
            "/dead-letters",
            "Dead letters",
        )
    for each in totals.unsettled(services):
        now = since_start.pop(each["topic"], None)
        recent = None if now is None else _since_start(now)
        found = _unsettled(each)
        yield recent if recent is not None and recent.severity < found.severity else found
    yield from map(_since_start, since_start.values())


def _unsettled(told: Data) -> Trouble:
    letters, records = told["count"], told["records"]
    much = letters > MUCH * records > 0
    of_all = f", {share(min(letters, records), records)} of the newest {number(records)} records," if much else ""
    cause = f": {told['cause']}" if told["cause"] else ""
    return Trouble(
        Severity.ERROR if much else Severity.WARNING,
        f"{'' if told['whole'] else 'At least '}{number(letters)} {several(letters, 'dead letter')} of {told['topic']}"
        f"{of_all} {several(letters, 'is', 'are')} not settled{cause}",
        "Each dead letter has its cause and the command that replays it",
        "/dead-letters",
        "Dead letters",
    )


def _since_start(told: Data) -> Trouble:
    """Return how many records of an input became dead letters, with the most frequent cause."""
    topic, records, letters, cause = (told[name] for name in ("topic", "records", "dead_letters", "cause"))
    much = letters > MUCH * records > 0
    of_all = f", {share(min(letters, records), records)} of {number(records)}," if much else ""
    return Trouble(
        Severity.ERROR if much else Severity.WARNING,
        f"{number(letters)} {several(letters, 'record')} of {topic}{of_all} became "
        f"{several(letters, 'a dead letter', 'dead letters')} since the workers started: {cause}",
        "Each dead letter has its cause and the command that replays it",
        "/dead-letters",
        "Dead letters",
    )
