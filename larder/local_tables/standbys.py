"""Follows, outside the consumer group, partitions that another worker processes: warm copies of their tables.

The same following as that of global tables, over partitions that change with each assignment. From the moment at
which a partition is no longer followed no record of it is applied here: the group's consumer goes on from the
position that the store has then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.kafka.topic_metadata import Described
from larder.local_tables.follower import Follower
from larder.local_tables.table import LocalTable


class Standbys(Follower):
    """Follows what it is told to follow, of the co-partitioned ones of `tables`."""

    standby = True

    def __init__(self, connection: Connection, tables: Mapping[str, LocalTable]) -> None:
        super().__init__(connection, {name: table for name, table in tables.items() if table.held == "partition"})
        self.followed: frozenset[TopicPartition] = frozenset()
        self._ids: dict[str, str] = {}
        self._any = asyncio.Event()

    def follow(self, tps: Collection[TopicPartition]) -> None:
        """Follow these, and no others, from now on; those of topics that are no tables here are left out."""
        self.followed = frozenset(tp for tp in tps if tp.topic in self._tables)
        self.look_again()
        if self.followed:
            self._any.set()
        else:
            self._any.clear()

    async def run(self) -> None:
        """Follow until cancelled, with no consumer before there is anything to follow."""
        while True:
            await self._any.wait()
            await super().run()

    def follows(self, tp: TopicPartition) -> bool:
        return tp in self.followed

    def wanted(
        self, topics: Mapping[str, Described], assigned: frozenset[TopicPartition]
    ) -> frozenset[TopicPartition]:  # fmt: skip
        """A topic that was made anew is not followed before this worker's part in the group has taken it up."""
        del assigned
        same = {name for name, topic in topics.items() if topic.topic_id == self._tables[name].topic_id}
        return frozenset(tp for tp in self.followed if tp.topic in same)

    def done(self) -> bool:
        return not self.followed

    def told(self, topics: Mapping[str, Described]) -> Collection[str]:
        """Which were made anew since they were looked at last; the tables are told by the group's part."""
        anew = {name for name, topic in topics.items() if self._ids.get(name, topic.topic_id) != topic.topic_id}
        self._ids |= {name: topic.topic_id for name, topic in topics.items()}
        return anew
