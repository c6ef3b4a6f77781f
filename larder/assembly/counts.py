"""What became of records, for all that a service declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from larder.counters.cause_log import CauseLogs
from larder.counters.join_quality import QualityOfJoin
from larder.counters.rekey_counts import RekeyCounts
from larder.operators.decides.decide import DecideCounts
from larder.operators.reactions import ReactionCounts
from larder.operators.user_agents import AgentCounts


class Counts(NamedTuple):
    """By the name of join, decide, topic of a `.by`, table that is reacted to, topic of an agent; causes by topic."""

    joins: Mapping[str, QualityOfJoin]
    decides: Mapping[str, DecideCounts]
    causes: CauseLogs
    rekeyings: Mapping[str, RekeyCounts]
    reactions: Mapping[str, ReactionCounts]
    agents: Mapping[str, AgentCounts] = {}
