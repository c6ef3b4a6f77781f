"""What is wrong with a service, worst first, each with what to do: worked out from what its workers answer.

Pure; from what `GET /services?all=1` answers. Knows neither HTML nor where the data comes from. A trouble names a page
that shows more of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from larder.declaring.plurals import counted
from larder.pages import totals
from larder.pages.partitions import unserved
from larder.pages.wording import duration, listed, number, several, share

Data = Mapping[str, Any]

# Records that an input may be behind before it is said: a worker takes more than so many in a second, so that
# ordinary traffic stays below it.
LAG = 10_000
# The share of an input's records that may become dead letters before that is said before all else.
MUCH = 0.1
# Seconds since the end of a partition was last met before it is said: ends are asked for many times in that time.
AGE = 30.0


class Urgency(IntEnum):
    """How bad it is: answers or results are missing; somebody has to look; it passes by itself."""

    BAD = 0
    WARN = 1
    NOTE = 2


class Trouble(NamedTuple):
    """One thing that is wrong: what was seen, what to do, the page with more of it, a command."""

    severity: Urgency
    what: str
    do: str
    where: str
    look: str
    command: str = ""


def troubles(services: Data) -> list[Trouble]:
    """Give all that is wrong with a service as its workers tell one of them, worst first."""
    letters = [*_letters(services)]
    found = [
        *(each for each in letters if each.severity is Urgency.BAD),
        *(each for status in totals.told(services) for each in _worker(status)),
        *_unknown(services),
        *_silent(services),
        *_unserved(services),
        *_held_back(services),
        *_tables(services),
        *_inputs(totals.inputs(services)),
        *(each for join in totals.joins(services) for each in _join(join)),
        *(each for operator in totals.others(services) for each in _refused(operator)),
        *(each for each in letters if each.severity is not Urgency.BAD),
    ]
    return sorted(found, key=lambda trouble: trouble.severity)


def _worker(services: Data) -> Iterator[Trouble]:
    phase = services["phase"]
    if phase != "running":
        yield Trouble(
            Urgency.BAD if phase in {"stopping", "stopped"} else Urgency.WARN,
            f"Worker {services['worker']} is {phase}: it processes nothing yet or any more",
            "It says in its log what it waits for: topics that others own, the broker, or its group",
            "/services",
            "Worker",
        )
    for warning in services.get("warnings", ()):
        yield Trouble(
            Urgency.WARN,
            f"Worker {services['worker']} has too little of what it needs, and goes on",
            warning[:1].upper() + warning[1:],
            "/services",
            "Worker",
        )


def _unknown(services: Data) -> Iterator[Trouble]:
    if services["partition_counts"] and not services["workers_known"]:
        yield Trouble(
            Urgency.WARN,
            "Who else is in the service is not known",
            "The broker tells it once the group has settled. Look again in a moment",
            "/services",
            "Workers",
        )


def _silent(services: Data) -> Iterator[Trouble]:
    for name in totals.silent(services):
        yield Trouble(
            Urgency.BAD,
            f"Worker {name} does not answer",
            "What it does is not known here, and others take over when its session ends. Look at its log, "
            "then start it again",
            "/services",
            "Workers",
            f"larder worker {services['service']} --name {name}",
        )


def _unserved(services: Data) -> Iterator[Trouble]:
    for topic, absent in unserved(services):
        yield Trouble(
            Urgency.BAD,
            f"Nobody serves {several(absent, 'partition')} {listed(absent)} of {topic}",
            f"{several(absent, 'Its', 'Their')} records wait until somebody does. Start a worker",
            "/services",
            "Workers",
            f"larder worker {services['service']} --name another",
        )


def _held_back(services: Data) -> Iterator[Trouble]:
    """Say why workers hold inputs back; what several of them say, once."""
    problems = {problem for status in totals.told(services) for problem in status.get("held_back", ())}
    for problem in sorted(problems):
        yield Trouble(
            Urgency.BAD,
            "Records are held back, and nothing is published for them",
            problem[:1].upper() + problem[1:],
            "/services",
            "Inputs",
        )


def _tables(services: Data) -> Iterator[Trouble]:
    """Say what is wrong with tables: what several workers say of one, as of a global table, once."""
    said: set[str] = set()
    for status in totals.told(services):
        where = "" if status is services else f" on {status['worker']}"
        for trouble in (each for table in status["tables"] for each in _table(table)):
            if trouble.what not in said:
                said.add(trouble.what)
                yield trouble._replace(what=trouble.what + where)


def _table(table: Data) -> Iterator[Trouble]:
    yield from _states(table)
    name, where = table["table"], f"/tables/{table['table']}"
    if fell := table["diverging"]:
        yield Trouble(
            Urgency.BAD,
            f"{name} is diverging: the revision of {fell['key']} fell from {fell['earlier_revision']} "
            f"to {fell['revision']} (partition {fell['partition']}, offset {fell['offset']})",
            "Workers may have different rows of it. Mend the owner, have it publish the row again, "
            "then remove the stores of this table",
            where,
            "Table",
        )
    if parked := table["parked"]:
        yield Trouble(
            Urgency.WARN,
            f"{number(parked)} {several(parked, 'record')} of {name} {'is no row' if parked == 1 else 'are no rows'}",
            "They change nothing here; the log names their coordinates and cause. Mend them at their owner",
            where,
            "Table",
        )
    if building := table["building"]:
        yield Trouble(
            Urgency.NOTE,
            f"{name} builds {several(building, 'an index', 'indexes')}: {listed(building)}",
            "Look-ups by it answer once it is built",
            where,
            "Table",
        )


def _states(table: Data) -> Iterator[Trouble]:
    name, partitions = table["table"], table["partitions"]
    for phase, severity, says, do in _PHASES:
        those = [each for each in partitions if each["phase"] == phase]
        if those:
            numbers = [each["partition"] for each in those]
            yield Trouble(
                severity,
                f"{name}: {several(numbers, 'partition')} {listed(numbers)} {several(numbers, 'is', 'are')} {says}",
                (_going(those) if phase == "recovering" else "") or do,
                "/recovery",
                "Recovery",
            )
    old = [
        each for each in partitions if each["phase"] in {"caught_up", "standby"} and (each["freshness_s"] or 0) > AGE
    ]
    if old:
        age = max(each["freshness_s"] for each in old)
        yield Trouble(
            Urgency.WARN,
            f"{name}: rows may be {duration(age)} old",
            "The end of its topic was met that long ago: the worker has more to do than it can, or it hangs",
            f"/tables/{name}",
            "Table",
        )


_PHASES = (
    (
        "disconnected",
        Urgency.BAD,
        "without a broker",
        "Answers come from the last local copy and say how old it is; orders wait. See whether the broker is reached",
    ),
    ("recovering", Urgency.WARN, "recovering", "Joins with them wait until they are caught up"),
    (
        "starting",
        Urgency.WARN,
        "not measured yet",
        "The broker has not told their ends yet; this takes a second or so",
    ),
)


def _going(partitions: Sequence[Data]) -> str:
    """Say how partitions that are behind get on; nothing when nobody can say."""
    left = sum(each["remaining"] or 0 for each in partitions)
    ends = [each["expected_s"] for each in partitions]
    if not left:
        return ""
    end = "no expected end yet" if None in ends else f"done in about {duration(max(ends))}"
    return f"{counted(left, 'offset')} left, {end}. Joins with them wait until then"


def _letters(services: Data) -> Iterator[Trouble]:
    """Say which dead letters nobody has settled, and of other inputs how many records became some since the start."""
    since_start = {each["topic"]: each for each in totals.dead_letters(services)}
    if services.get("unsettled", True) is None:
        yield Trouble(
            Urgency.NOTE,
            "How many dead letters lie in their topic is not known yet",
            "They are counted in the background. Look again in a moment, and whether the broker is reached",
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
        Urgency.BAD if much else Urgency.WARN,
        f"{'' if told['whole'] else 'At least '}{number(letters)} {several(letters, 'dead letter')} of {told['topic']}"
        f"{of_all} {several(letters, 'is', 'are')} not settled{cause}",
        "Each dead letter has its cause and the command that replays it",
        "/dead-letters",
        "Dead letters",
    )


def _since_start(told: Data) -> Trouble:
    """Say how many records of an input became dead letters, and why most of them did."""
    topic, records, letters, cause = (told[name] for name in ("topic", "records", "dead_letters", "cause"))
    much = letters > MUCH * records > 0
    of_all = f", {share(min(letters, records), records)} of {number(records)}," if much else ""
    return Trouble(
        Urgency.BAD if much else Urgency.WARN,
        f"{number(letters)} {several(letters, 'record')} of {topic}{of_all} became "
        f"{several(letters, 'a dead letter', 'dead letters')} since the workers started: {cause}",
        "Each dead letter has its cause and the command that replays it",
        "/dead-letters",
        "Dead letters",
    )


def _inputs(inputs: Sequence[Data]) -> Iterator[Trouble]:
    by_topic: dict[str, list[int]] = {}
    for each in inputs:
        by_topic.setdefault(each["topic"], []).append(each["lag"] or 0)
    for topic, lags in sorted(by_topic.items()):
        if sum(lags) > LAG:
            yield Trouble(
                Urgency.WARN,
                f"{topic} is {counted(sum(lags), 'record')} behind",
                "Results come late. If the lag grows, one more worker of this service helps",
                "/services",
                "Inputs",
            )


def _refused(operator: Data) -> Iterator[Trouble]:
    if refused := operator["counts"].get("refused", 0):
        yield Trouble(
            Urgency.NOTE,
            f"The {operator['kind']} on {operator['name']} refused {counted(refused, 'event')} since the workers"
            " started",
            "As it is declared. Each refusal has its reason",
            "/refusals",
            "Refusals",
        )


def _join(join: Data) -> Iterator[Trouble]:
    counts, waiting = join["counts"], join["waiting"]
    lost = counts["dropped"] + counts["passed_on"]
    if lost:
        yield Trouble(
            Urgency.NOTE,
            f"{number(lost)} {several(lost, 'record')} of {join['source']} "
            f"{several(lost, 'was', 'were')} passed on or dropped without a partner",
            "As the join declares it. The keys that were missing are shown by partition",
            "/joins",
            "Joins",
        )
    if waiting:
        yield Trouble(
            Urgency.NOTE,
            f"{number(waiting)} {several(waiting, 'record')} of {join['source']} {several(waiting, 'waits', 'wait')} "
            "for a partner",
            "They are joined when it comes, and go on as declared when their time is over",
            "/joins",
            "Joins",
        )
