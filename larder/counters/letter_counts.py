"""How many input records were dead-lettered since the worker started, as plain values. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_CAUSES = 10
"""How many causes an answer lists: the most frequent ones."""


def letter_counts(by_topic: Mapping[str, Mapping[str, int]], taken: Mapping[str, int]) -> dict[str, Any]:
    """Return totals and causes; `by_topic` has counts by topic and cause, `taken` the records read from each topic."""
    totals = {topic: sum(causes.values()) for topic, causes in by_topic.items()}
    causes = [(count, topic, cause) for topic, counts in by_topic.items() for cause, count in counts.items()]
    most = sorted(causes, key=lambda each: (-each[0], *each[1:]))[:MOST_CAUSES]
    return {
        "total": sum(totals.values()),
        "inputs": [
            {
                "topic": topic,
                "records": taken.get(topic, 0),
                "dead_letters": count,
                "cause": max(by_topic[topic], key=by_topic[topic].__getitem__),
            }
            for topic, count in sorted(totals.items())
            if count
        ],
        "causes": [{"topic": topic, "cause": cause, "count": count} for count, topic, cause in most],
    }
