"""What became of records, for all that a service declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from larder.counters.cause_log import CauseLogs
from larder.counters.join_quality import QualityOfJoin
from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.agents import AgentDeclaration
from larder.declaring.decides import Decide
from larder.declaring.joins import Join
from larder.declaring.reactions import Reaction
from larder.operators.decides.decide import DecideCounts
from larder.operators.reactions import ReactionCounts
from larder.operators.user_agents import AgentCounts

COUNTED_APART: Final = (Join, Decide, Reaction, AgentDeclaration)
"""Kinds whose records are counted in a form of their own."""


class Counts(NamedTuple):
    """By the name of join, decide, topic of a `.by`, table that is reacted to, topic of an agent; causes by topic."""

    joins: Mapping[str, QualityOfJoin]
    decides: Mapping[str, DecideCounts]
    causes: CauseLogs
    rekeyings: Mapping[str, RekeyCounts]
    reactions: Mapping[str, ReactionCounts]
    agents: Mapping[str, AgentCounts] = {}
    results: Mapping[str, Counter[str]] = {}
    """Of operators of other kinds, by their node of the topology: how many records had each result."""
