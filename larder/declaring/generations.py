"""Where a service processes its records: in how many partitions, and which topics it reads as they are.

Records meet rows by partition, so a source and its tables need equally many partitions, with their keys in the same
ones. A topic with another number, or one whose producers place keys in another way, passes through an internal topic
of the service: events by their key field, rows by their message key (a *mirror*). A state of a decide is kept in an
internal topic, and each write goes to its own topic as well. So the owner of a topic never has to change its number.

A *generation* is the decision. It is taken once, and written down, since a topic whose number changes later must not
be read in another way. A service that is scaled gets another one: see `larder.declaring.growth`. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from larder.declaring.facts import Facts, input_name, rows_name
from larder.declaring.partition_counts import DEFAULT_PARTITIONS, components
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.service import Service


class Generation(msgspec.Struct, frozen=True):
    """How a service places its records.

    number   1 for the first one.
    counts   the number of partitions in which a topic meets others, by the name of the topic that is declared. An
             internal topic of `.by` counts as a topic.
    native   the ids of those topics among them that are read as they are, by name.

    Later generations also have:

    at       when it began, in seconds since the epoch.
    filled   the tables whose mirrors it begins empty, because the generation before read them as they are, and the
             number of partitions that they had then.
    reacted  the tables whose own topics the service reacts to, as the generation before did: a mirror would give it
             each row once more.
    floors   by state, a revision that no row before had.
    heads    by internal topic, the end of what was copied into each partition before it began.
    """

    number: int
    counts: Mapping[str, int]
    native: Mapping[str, str]
    at: float = 0.0
    filled: Mapping[str, int] = {}
    reacted: tuple[str, ...] = ()
    floors: Mapping[str, int] = {}
    heads: Mapping[str, tuple[int, ...]] = {}

    def of_number(self, number: int) -> Generation:
        """Return a generation with the same topics, all of which pass through internal ones."""
        return Generation(number, self.counts, {})

    def encode(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)


def read_generation(value: bytes) -> Generation | None:
    """Decode a generation; return None for any other value."""
    try:
        return msgspec.json.decode(value, type=Generation)
    except (msgspec.MsgspecError, RecursionError):
        return None


def merged(found: Iterable[Generation]) -> Generation | None:
    """Return the last generation that records describe, in the order of the log.

    Of two records of one generation, the first one that names a topic decides. So two workers that write it at the same
    time agree, and topics that are declared later are added.
    """
    latest: Generation | None = None
    for each in found:
        if latest is None or each.number > latest.number:
            latest = each
        elif each.number == latest.number:
            native = {name: topic_id for name, topic_id in each.native.items() if name not in latest.counts}
            latest = msgspec.structs.replace(
                latest, counts={**each.counts, **latest.counts}, native={**latest.native, **native}
            )
    return latest


def completed(
    service: Service, facts: Facts, known: Generation | None = None, history: Mapping[str, int] | None = None
) -> Generation:
    """Return the generation of a service with all topics that meet: those that are new since `known` are added.

    A topic without facts is created with the number of those that it meets. `history` has the numbers with which the
    group committed offsets before it had generations. Then all topics that meet had that number: one that has another
    by now has grown, and stays native, so that it is held back. Raise DeclarationError if known topics with different
    numbers meet.
    """
    counts = dict(known.counts) if known else {}
    native = dict(known.native) if known else {}
    for members in components(service):
        names = [input_name(service, member) for member in members]
        before = _usual((history or {}).get(name) for name in names) if known is None else None
        count = _known_count(service, names, counts) or before or _count(service, members, facts)
        for name, member in zip(names, members, strict=True):
            if name in counts:
                continue
            counts[name] = count
            if before is not None or _is_native(service, member, count, facts):
                found = facts.get(name)
                native[name] = "" if found is None else found.topic_id
    return (
        Generation(1, counts, native) if known is None else msgspec.structs.replace(known, counts=counts, native=native)
    )


def unheeded(service: Service, generation: Generation) -> Iterator[Problem]:
    """Yield what a service declares now, and what its generation, which counts, has decided otherwise."""
    others = {count for count in generation.counts.values() if count != service.partitions}
    if service.partitions is not None and others:
        yield Problem(
            f"service {service.name}",
            "a service keeps its number of partitions until it is scaled",
            f"partitions={service.partitions}, and {' and '.join(map(str, sorted(others)))} at work",
            f"run larder scale {service.name} --partitions {service.partitions}, or declare the other number",
        )
    for member in chain.from_iterable(components(service)):
        if isinstance(member, Rekeyed) or member.partitioner == "murmur2" or member.name not in generation.native:
            continue
        yield Problem(
            f"topic {member.name}",
            f"is read by partition in {service.name} as it is since the first start",
            f'partitioner="{member.partitioner}"',
            f'use {member.name}.by("{member.key}"), or start the service under a new name',
        )


def _known_count(service: Service, names: Iterable[str], counts: Mapping[str, int]) -> int | None:
    known = {name: counts[name] for name in names if name in counts}
    if len(set(known.values())) > 1:
        raise DeclarationError(
            [
                Problem(
                    f"service {service.name}",
                    "topics that meet require one number of partitions",
                    " and ".join(f"{count} for {name}" for name, count in known.items()),
                    "declare what brings them together in a service of its own",
                )
            ]
        )
    return next(iter(known.values()), None)


def placed(service: Service, generation: Generation, answering: Collection[str] = ()) -> Service:
    """Return the service as its workers run it: with the internal topics that the generation requires.

    `answering` are tables that it reads from their own topics as well, to answer from these while it fills their
    mirrors.
    """
    number = generation.number

    def passes_through(name: str) -> bool:
        return name in generation.counts and name not in generation.native

    def table(use: TableUse) -> TableUse:
        if use.held == "global" or not passes_through(use.name):
            return use
        of = replace(use, generation=number)
        is_state = any(decide.state == use for decide in service.decides)
        return replace(of, build=rows_name(service.name, of) if is_state else of.mirror.name_in(service.name))

    def reacted_to(use: TableUse) -> TableUse:
        return use if use.name in generation.reacted else table(use)

    def source(each: Source) -> Source:
        if isinstance(each, Rekeyed):
            return replace(each, generation=number) if input_name(service, each) in generation.counts else each
        if not passes_through(each.name):
            return each
        return Rekeyed(each, each.key, mirrored=isinstance(each, OwnerTopic), generation=number)

    found = type(service)(service.name, partitions=service.partitions, headers=service.headers, context=service.context)
    found.generation = generation
    found.tables = [table(use) for use in service.tables]
    reactions = service.reactions
    found.operators = [each.placed_by(source, reacted_to if each in reactions else table) for each in service.operators]
    found.predicates = [replace(each, table=table(each.table)) for each in service.predicates]
    own = {each.table for each in found.reactions}
    found.kept = [use for use in service.tables if use not in found.tables and (use in own or use.name in answering)]
    found.answering = frozenset(answering)
    found.counts = dict(_counts(found, generation))
    return found


def _counts(service: Service, generation: Generation) -> Iterator[tuple[str, int]]:
    """Yield the number of partitions of each internal topic that a generation requires."""
    for member in chain.from_iterable(components(service)):
        declared = member.source.name if isinstance(member, Rekeyed) else member.name
        first = input_name(service, replace(member, generation=1) if isinstance(member, Rekeyed) else member)
        if (count := generation.counts.get(first) or generation.counts.get(declared)) is not None:
            yield input_name(service, member), count
    for use in service.tables:
        if use.build is not None:
            yield use.build, generation.counts[use.name]


def _count(service: Service, members: Sequence[Source], facts: Facts) -> int:
    """Return the number of partitions in which the members of a component meet.

    What exists decides before what is declared, and topics of the service before those that only it can change.
    """
    internal = [each for each in members if isinstance(each, Rekeyed)]
    tables = {use.name for use in service.tables}
    rows = [each for each in members if each not in internal and each.name in tables]
    events = [each for each in members if each not in internal and each.name not in tables]
    declared = [each.partitions for each in (*rows, *events) if not isinstance(each, Rekeyed) and each.partitions]
    existing = [[_existing(service, each, facts) for each in some] for some in (internal, rows, events)]
    numbers = (_usual(existing[0]), service.partitions, _usual(existing[1]), _usual(existing[2]), _usual(declared))
    return next(filter(None, numbers), DEFAULT_PARTITIONS)


def _usual(numbers: Iterable[int | None]) -> int | None:
    """Return the number that most topics have, the largest one of several; None if there is none."""
    found = Counter(each for each in numbers if each is not None)
    return max(found, key=lambda each: (found[each], each), default=None)


def _existing(service: Service, member: Source, facts: Facts) -> int | None:
    found = facts.get(input_name(service, member))
    return None if found is None else found.partitions


def _is_native(service: Service, member: Source, count: int, facts: Facts) -> bool:
    """Whether a topic is read as it is. One that does not exist yet is created with that number, unless declared."""
    if isinstance(member, Rekeyed):
        return True
    if member.partitioner != "murmur2":
        return False
    return (_existing(service, member, facts) or member.partitions or count) == count
