"""What became of records, for all that a service declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agents.engine.cause_log import CauseLogs
from agents.engine.deciding import DecideCounts
from agents.engine.quality import QualityOfJoin
from agents.engine.reacting import ReactionCounts
from agents.engine.rekey_counts import RekeyCounts


class Counts(NamedTuple):
    """By the name of join, decide, topic of a `.by`, table that is reacted to; the causes of dead letters by topic."""

    joins: Mapping[str, QualityOfJoin]
    decides: Mapping[str, DecideCounts]
    causes: CauseLogs
    rekeyings: Mapping[str, RekeyCounts]
    reactions: Mapping[str, ReactionCounts]
