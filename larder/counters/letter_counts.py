"""How many records of inputs became dead letters since the worker started, as plain values. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_CAUSES = 10
"""Causes in one answer: the most frequent ones."""


def letter_counts(by_topic: Mapping[str, Mapping[str, int]], taken: Mapping[str, int]) -> dict[str, Any]:
    """Give totals and causes; `by_topic` counts records by topic and cause, `taken` those that came in of a topic."""
    parked = {topic: sum(causes.values()) for topic, causes in by_topic.items()}
    causes = [(count, topic, cause) for topic, counts in by_topic.items() for cause, count in counts.items()]
    most = sorted(causes, key=lambda each: (-each[0], *each[1:]))[:MOST_CAUSES]
    return {
        "total": sum(parked.values()),
        "inputs": [
            {
                "topic": topic,
                "records": taken.get(topic, 0),
                "dead_letters": count,
                "cause": max(by_topic[topic], key=by_topic[topic].__getitem__),
            }
            for topic, count in sorted(parked.items())
            if count
        ],
        "causes": [{"topic": topic, "cause": cause, "count": count} for count, topic, cause in most],
    }
