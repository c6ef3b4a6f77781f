"""Reads with requirements: they include the write of a token, or are no older than a maximum age.

Partitions are checked before the table is read; the result holds for reads that do not yield to other tasks first.
Knows no consumers and no HTTP.
"""

import asyncio
from collections.abc import Collection

from larder.declaring.problems import Problem
from larder.store.errors import BehindError, OtherTopicError, TooStaleError
from larder.store.partition_state import State
from larder.store.storage.opening import topic_id
from larder.store.table import Table
from larder.store.tokens import Token


async def until_applied(table: Table, token: Token, within: float, partitions: Collection[int] | None = None) -> None:
    """Wait until the table has the writes of a token: those into `partitions`, or all of them.

    Raise OtherTopicError for a token of another topic, NotHeldError for a partition that is not here or goes away
    meanwhile, and BehindError after `within` seconds.
    """
    wanted = {
        partition: offset
        for partition, offset in token.offsets.items()
        if partitions is None or partition in partitions
    }
    try:
        async with asyncio.timeout(within):
            for partition, offset in wanted.items():
                while not await _state(table, partition, token).passed(offset):
                    pass
    except TimeoutError:
        states = [_state(table, partition, token) for partition in wanted]
        behind = [state for state in states if state.position <= wanted[state.partition]]
        raise BehindError(
            Problem(
                f"table {table.topic.name}",
                f"must be past what was written within {within:g} s",
                ", ".join(f"partition {_where(state)}, before {wanted[state.partition] + 1}" for state in behind),
                "ask again: it may be there by then",
            ),
            (behind or states)[0],
        ) from None


def require_fresh(table: Table, max_staleness: float, now: float, partitions: Collection[int] | None = None) -> None:
    """Raise TooStaleError if one of `partitions`, or of all, reached the end of the topic too long ago, or never.

    `max_staleness` in seconds, `now` in seconds since 1970. Raise NotHeldError for a partition that is not here.
    """
    for partition in table.partitions if partitions is None else partitions:
        state = table.state(partition)
        age = state.freshness(now)
        if age is None or age > max_staleness:
            met = "never met" if age is None else f"met {age:.1f} s ago"
            raise TooStaleError(
                Problem(
                    f"table {table.topic.name}",
                    f"must be no older than {max_staleness:g} s",
                    f"partition {_where(state)}, whose end was {met}",
                    "ask again, ask another worker, or allow for more",
                ),
                state,
            )


def _state(table: Table, partition: int, token: Token) -> State:
    state = table.state(partition)
    here = topic_id(table.shard(partition).store)
    if here != token.topic_id:
        raise OtherTopicError(
            Problem(
                f"table {table.topic.name}",
                "a token must be of the topic that the table follows",
                f"one of topic id {token.topic_id}, and a table of {here}",
                "ask the table of the topic that was written to; a recreated topic is another one",
            ),
        )
    return state


def _where(state: State) -> str:
    end = "?" if state.end is None else state.end
    return f"{state.partition} {state.phase.name.lower().replace('_', ' ')} at {state.position} of {end}"
