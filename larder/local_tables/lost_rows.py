"""Words for a table that lost rows when its store was emptied and its topic was read again."""

from __future__ import annotations

from itertools import chain

from larder.declaring.problems import Problem
from larder.declaring.topics import OwnerTopic
from larder.store.applying.revision_regressions import shown
from larder.store.shard import Shard
from larder.store.storage.identity import row_digest


def accepted_as(topic: OwnerTopic) -> str:
    """What is written in the setting `accept_lost_rows`: the loss by this row type, and by no other."""
    return f"{topic.name}:{row_digest(topic.row)}"


def lost_rows(topic: OwnerTopic, shard: Shard) -> Problem:
    """What to tell of a store that has lost rows."""
    before = None if shard.before is None else shard.before.rows
    sample = next(chain.from_iterable(map(shard.unreadable.all, shard.states)))
    can = sum(mark.rows for mark in shard.marks.values())
    had = f"and {can:,} that can" if before is None else f"of {before:,} that it had before it was read again"
    return Problem(
        f"table {topic.name}",
        "whatever depends on a table requires the rows that it had",
        f"{shard.lost:,} rows that cannot be read, {had}; for instance {shown(sample.key)} at offset {sample.offset} of"
        f" partition {sample.partition}: {sample.cause}",
        "records of inputs that use it are held back, and nothing is lost: give a new field a default, or go back to"
        f" the row type of before; or do without these rows: LARDER_ACCEPT_LOST_ROWS={accepted_as(topic)}",
    )
