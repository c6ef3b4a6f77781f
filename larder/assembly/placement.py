"""The topics by whose partition counts a service places records, and whether a count has changed.

An operator finds the row of a record in the partition to which their key belongs. If the partition count changes, the
key belongs to another partition, and existing rows are not found. Equal counts of two topics do not prove that rows are
found. So a worker remembers the count that each topic had when it first read it, and holds back the inputs that depend
on a topic with another count. A topic with another id is another topic. Its count applies from the next start, since
operators are built for the count at the start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from larder.assembly.memo import Memo
from larder.assembly.plan import InputPlan, ServicePlan
from larder.declaring.generations import Generation
from larder.declaring.plurals import counted, plural
from larder.declaring.problems import Problem
from larder.kafka.topic_metadata import Described


def placed_by(plan: ServicePlan) -> Mapping[str, frozenset[str]]:
    """Return the topics that each input depends on, including itself; leave out inputs that depend on none."""
    found = {name: frozenset(_placed_by(plan, name, each)) for name, each in plan.inputs.items()}
    return {name: topics for name, topics in found.items() if topics}


def _placed_by(plan: ServicePlan, name: str, each: InputPlan) -> Iterator[str]:
    if each.replays is not None:
        yield from _placed_by(plan, each.replays, plan.inputs[each.replays])
    for operator in each.operators:
        yield from operator.placed(name, plan.partitioned)
    for rekeying in each.rekeyings.values():
        yield from rekeying.placed(name)
    if each.gathers is not None:
        yield from (name, each.gathers.of.output.topic)


def changed(remembered: Mapping[str, Described], found: Mapping[str, Described]) -> Mapping[str, int]:
    """Return the previous partition count of each topic whose count has changed."""
    return {
        name: before.partitions
        for name, before in remembered.items()
        if (now := found.get(name)) is not None and now.partitions != before.partitions
    }


def first_read(remembered: Mapping[str, Described], found: Mapping[str, Described]) -> dict[str, Described]:
    """Return the topics to remember: those that were not read before."""
    return {
        name: now for name, now in found.items() if name not in remembered or remembered[name].topic_id != now.topic_id
    }


class Placement:
    """Compares these topics, as the broker reports them, with what this worker remembers.

    `problems` has the problem of each topic whose partition count has changed. `own` are the topics that only the
    service writes.
    """

    def __init__(self, plan: ServicePlan, memo: Memo) -> None:
        self._memo = memo
        self._service = plan.service.name
        self._inputs = placed_by(plan)
        self._replays = {name for name, each in plan.inputs.items() if each.replays is not None}
        self.own = plan.owned | plan.passed_through | _rekeyed(plan)
        self._topics = frozenset(chain.from_iterable(self._inputs.values()))
        self._settled = _native_counts(memo.generation, self._topics)
        self._found: dict[str, Described] = {}
        self.problems: Mapping[str, Problem] = {}

    def note(self, found: Mapping[str, Described]) -> None:
        """Note the topics as the broker reports them; keep those that it does not name."""
        starting = not self._found
        self._found.update({name: topic for name, topic in found.items() if name in self._topics})
        new = first_read(self._memo.placed, self._found)
        others = () if starting else changed(self._memo.placed, new)
        self._memo.remember_placed({name: topic for name, topic in new.items() if name not in others})
        self.problems = self._problems(self._found)

    def adopt_committed(self, committed: Mapping[str, Described]) -> bool:
        """Remember the partition counts with which the group committed, since a new worker remembers none.

        Topics with the same count as the input are treated alike. Return whether that changed any problem.
        """
        found, before = self._found, self.problems
        for name, topic in changed(committed, found).items():
            if committed[name].topic_id == found[name].topic_id:
                together = [
                    each
                    for each in self._inputs.get(name, ())
                    if each in found and found[each].partitions == found[name].partitions
                ]
                self._memo.remember_placed({each: Described(found[each].topic_id, topic) for each in together})
        self.problems = self._problems(found)
        return self.problems != before

    def number(self, name: str, found: int) -> int:
        """Return the partition count to commit with; 0 if the service does not depend on it."""
        return self.partitions(name, found) if name in self._topics else 0

    def is_news(self, found: Mapping[str, Described]) -> bool:
        """Return whether these topics would change the problems."""
        known = {name: topic for name, topic in found.items() if name in self._topics}
        return self._problems({**self._found, **known}) != self.problems

    def partitions(self, name: str, found: int) -> int:
        """Return the partition count by which a topic's rows are placed; `found` is its current count."""
        return self._counts_before(self._found)[name] if name in self.problems else found

    def problem_of(self, name: str) -> Problem | None:
        """Return the problem that holds an input back, if any."""
        return next(
            (self.problems[topic] for topic in sorted(self._inputs.get(name, ())) if topic in self.problems), None
        )

    def _problems(self, found: Mapping[str, Described]) -> Mapping[str, Problem]:
        before = self._counts_before(found)
        return {name: self._problem(name, count, found[name]) for name, count in before.items()}

    def _counts_before(self, found: Mapping[str, Described]) -> Mapping[str, int]:
        """Return the previous partition count of each topic whose count has changed.

        A topic that the service has settled to read as it is keeps its count, even if it is created again.
        """
        settled = {name: count for name, count in self._settled.items() if name in found}
        remembered = {
            name: count
            for name, count in changed(self._memo.placed, found).items()
            if name not in settled or self._memo.placed[name].topic_id == found[name].topic_id
        }
        return remembered | {name: count for name, count in settled.items() if found[name].partitions != count}

    def _problem(self, name: str, before: int, now: Described) -> Problem:
        inputs = sorted(each for each, topics in self._inputs.items() if name in topics and each not in self._replays)
        return Problem(
            f"topic {name}",
            f"requires the {counted(before, 'partition')} that it had when this worker first read it: the service"
            " places records by that count",
            f"{now.partitions}",
            f"{self._way_out(name, before, now)}; until then"
            f" {plural(len(inputs), 'input')} {', '.join(inputs)} {plural(len(inputs), 'is', 'are')}"
            " held back, but reads continue",
        )

    def _way_out(self, name: str, before: int, now: Described) -> str:
        again = f"create {name} again with {counted(before, 'partition')}, and rewrite its records"
        remembered = self._memo.placed.get(name)
        if name not in self._settled and remembered is not None and now.topic_id != remembered.topic_id:
            return f"it is another topic now: restart the workers to continue with its partition count, or {again}"
        if name in self.own:
            return f"add no partitions to a topic of the service; {again}"
        number = f"--partitions {now.partitions}"
        return f"run larder scale {self._service} {number} to let the service place records by itself; or {again}"


def _native_counts(generation: Generation | None, topics: Collection[str]) -> Mapping[str, int]:
    """Return the partition counts of the topics that a generation has settled to read as they are."""
    if generation is None:
        return {}
    return {name: generation.counts[name] for name in generation.native if name in topics}


def _rekeyed(plan: ServicePlan) -> frozenset[str]:
    return frozenset(chain.from_iterable(each.rekeyings for each in plan.inputs.values()))
