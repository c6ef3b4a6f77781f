"""Finds out whether a table lost rows when its store was emptied and its topic was read again.

Whatever depends on such a table is held back until the rows can be read, or an operator accepts the loss.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from itertools import chain

from larder.declaring.problems import Problem
from larder.declaring.topics import OwnerTopic
from larder.local_tables.role import TableRole
from larder.store.applying.revision_regressions import shown
from larder.store.shard import Shard
from larder.store.storage.identity import row_digest
from larder.store.table import Table

log = logging.getLogger("larder")


class LostRows:
    """The losses of one table."""

    def __init__(self, stored: Table, role: TableRole) -> None:
        self._stored = stored
        self._role = role
        self._logged: set[Shard] = set()

    def hold_back(self, shards: Collection[Shard]) -> bool:
        """Return whether the users of these shards are held back."""
        return any(map(self._has_lost, shards))

    def of(self, shards: Collection[Shard]) -> Problem | None:
        """Return the problem of the first of these shards that lost rows; None if none did."""
        lost = next(filter(self._has_lost, shards), None)
        return None if lost is None else lost_rows(self._stored.topic, lost)

    def judge(self, shard: Shard) -> None:
        """Accept a store that was read again; if it lost rows, hold it back, and log that once."""
        if shard.before is None:
            return
        if self._has_lost(shard):
            if shard not in self._logged:
                self._logged.add(shard)
                log.error("%s", lost_rows(self._stored.topic, shard))
            return
        if shard in self._logged or (shard.lost and not self._role.needs_each_row):
            name, rows = self._stored.topic.name, self._stored.sizes().rows
            log.warning("table %s: continues with the %d rows that it has", name, rows)
        shard.settle()

    def judge_again(self, shard: Shard) -> None:
        """Judge a store that is held back, after records that may be the rows that it lost."""
        if shard in self._logged:
            self.judge(shard)

    def _has_lost(self, shard: Shard) -> bool:
        """Return whether too many rows are lost; a table that needs each row is held back by `kept_rows` instead."""
        if self._role.needs_each_row or shard.before is None:
            return False
        if shard.before.rows is None and not self._role.followed:
            return False
        return shard.lost > 0 and accepted_as(self._stored.topic) not in self._role.losses_accepted


def accepted_as(topic: OwnerTopic) -> str:
    """Return the value of the setting `accept_lost_rows` that accepts a loss by this row type, and by no other."""
    return f"{topic.name}:{row_digest(topic.row)}"


def lost_rows(topic: OwnerTopic, shard: Shard) -> Problem:
    """Return the problem of a store that has lost rows."""
    before = None if shard.before is None else shard.before.rows
    sample = next(chain.from_iterable(map(shard.unreadable.all, shard.states)))
    can = sum(mark.rows for mark in shard.marks.values())
    had = f"and {can:,} that can" if before is None else f"of {before:,} that it had before it was read again"
    return Problem(
        f"table {topic.name}",
        "users of a table require the rows that it had",
        f"{shard.lost:,} rows that cannot be read, {had}; for instance {shown(sample.key)} at offset {sample.offset} of"
        f" partition {sample.partition}: {sample.cause}",
        "records of inputs that use it are held back, and nothing is lost: give each new field a default, or go back"
        f" to the previous row type; or accept the loss: LARDER_ACCEPT_LOST_ROWS={accepted_as(topic)}",
    )
