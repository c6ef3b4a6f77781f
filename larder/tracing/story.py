"""A story as a list of steps in the order of time, each after what caused it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from larder.dead_letters.describing import moment
from larder.declaring.coordinates import Coordinates


class StoryStep(NamedTuple):
    """One record of a story.

    at       when it was made, in ms since 1970; its timestamp if it does not say.
    kind     record, deletion, refusal or dead letter.
    key      its key as text.
    service  the service that writes the topic; None if no loaded service does.
    worker   the worker that wrote it; None if it does not say.
    trace    the id of its trace.
    cause    the record that it was made from.
    note     why it was refused, or could not be handled.
    """

    place: Coordinates
    at: int
    kind: str
    key: str | None
    service: str | None
    worker: str | None
    trace: str | None
    cause: Coordinates | None
    note: str | None = None


class ToldStep(NamedTuple):
    """A step, when it happened in the story, and how long after its cause (ms); None if the cause is not in the story.

    The clocks of two machines may differ. So a step happens no earlier than its cause, whatever it says.
    """

    step: StoryStep
    at: int
    latency: int | None


def told(steps: Sequence[StoryStep]) -> list[ToldStep]:
    """Put the steps into their order."""
    known = {step.place: step for step in steps}
    moments: dict[Coordinates, tuple[int, int]] = {}
    for step in steps:
        _moment(step, known, moments)
    order = sorted(steps, key=lambda step: (*moments[step.place], step.place))
    return [ToldStep(step, moments[step.place][0], _latency(step, moments)) for step in order]


def _moment(
    step: StoryStep, known: Mapping[Coordinates, StoryStep], moments: dict[Coordinates, tuple[int, int]]
) -> tuple[int, int]:
    """Return when a step happens, and how many steps led to it; note both for it and its causes."""
    chain: list[StoryStep] = []
    seen = set[Coordinates]()
    each: StoryStep | None = step
    while each is not None and each.place not in moments and each.place not in seen:
        seen.add(each.place)
        chain.append(each)
        each = None if each.cause is None else known.get(each.cause)
    at, depth = (0, -1) if each is None or each.place not in moments else moments[each.place]
    for link in reversed(chain):
        at, depth = max(at, link.at), depth + 1
        moments[link.place] = at, depth
    return at, depth


def _latency(step: StoryStep, moments: Mapping[Coordinates, tuple[int, int]]) -> int | None:
    if step.cause is None or step.cause not in moments:
        return None
    return moments[step.place][0] - moments[step.cause][0]


class Story(NamedTuple):
    """What was found about `key` between two times in ms.

    traces   the ids of the traces that lead to records of other keys.
    topics   the topics that were read, and how many records of them.
    missing  the declared topics that do not exist.
    whole    whether everything was read, and nothing left out.
    """

    key: str
    since: int
    until: int
    steps: Sequence[ToldStep]
    traces: Sequence[str]
    topics: int
    records: int
    missing: Sequence[str]
    whole: bool


def described(story: Story) -> dict[str, Any]:
    """Return a story as plain values."""
    first = story.steps[0].at if story.steps else 0
    return {
        "key": story.key,
        "since": moment(story.since),
        "until": moment(story.until),
        "traces": list(story.traces),
        "services": list(dict.fromkeys(each.step.service for each in story.steps if each.step.service)),
        "took_ms": story.steps[-1].at - first if story.steps else 0,
        "steps": [_described(each, first) for each in story.steps],
        "topics_read": story.topics,
        "records_read": story.records,
        "missing_topics": list(story.missing),
        "whole": story.whole,
    }


def notes(story: Mapping[str, Any]) -> list[str]:
    """Return what a reader has to know beside the steps of a described story."""
    found = []
    if not story["steps"]:
        found.append(f"no record of {story['key']!r} from {story['since']} to {story['until']}: look further back")
    elif not story["traces"]:
        found.append("no record has a trace (the header traceparent): records of other keys are not part of the story")
    if not story["whole"]:
        found.append("the story is not complete: it has too many records, or reading took too long")
    if story["missing_topics"]:
        found.append(f"topics that do not exist: {', '.join(story['missing_topics'])}")
    return found


def _described(told_step: ToldStep, first: int) -> dict[str, Any]:
    step = told_step.step
    return {
        "topic": step.place.topic,
        "partition": step.place.partition,
        "offset": step.place.offset,
        "id": str(step.place),
        "kind": step.kind,
        "key": step.key,
        "service": step.service,
        "worker": step.worker,
        "at": moment(told_step.at),
        "after_ms": told_step.at - first,
        "latency_ms": told_step.latency,
        "cause": None if step.cause is None else str(step.cause),
        "trace": step.trace,
        "note": step.note,
    }
