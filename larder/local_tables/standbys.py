"""Follows, outside the consumer group, partitions that another worker processes: warm copies of their tables.

It follows them like global tables, but the partitions change with each assignment. Once a partition is no longer
followed, none of its records is applied here: the group's consumer resumes at the position that the store has then.
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
    """Follows the partitions that were last passed to `follow`, of the co-partitioned ones of `tables`."""

    standby = True

    def __init__(self, connection: Connection, tables: Mapping[str, LocalTable]) -> None:
        super().__init__(connection, {name: table for name, table in tables.items() if table.held == "partition"})
        self.followed: frozenset[TopicPartition] = frozenset()
        self._ids: dict[str, str] = {}
        self._any = asyncio.Event()

    def follow(self, tps: Collection[TopicPartition]) -> None:
        """Follow only these from now on; partitions of topics without a table here are left out."""
        self.followed = frozenset(tp for tp in tps if tp.topic in self._tables)
        self.check_topics_now()
        if self.followed:
            self._any.set()
        else:
            self._any.clear()

    async def run(self) -> None:
        """Follow until cancelled; open no consumer while there is nothing to follow."""
        while True:
            await self._any.wait()
            await super().run()

    def follows(self, tp: TopicPartition) -> bool:
        return tp in self.followed

    def wanted(
        self, topics: Mapping[str, Described], assigned: frozenset[TopicPartition]
    ) -> frozenset[TopicPartition]:  # fmt: skip
        """Return the partitions to follow; a recreated topic is left out until the group's consumer uses it."""
        del assigned
        same = {name for name, topic in topics.items() if topic.topic_id == self._tables[name].topic_id}
        return frozenset(tp for tp in self.followed if tp.topic in same)

    def done(self) -> bool:
        return not self.followed

    def set_topics(self, topics: Mapping[str, Described]) -> Collection[str]:
        """Return the topics that were recreated since the last check; the group's side sets them in the tables."""
        recreated = {name for name, topic in topics.items() if self._ids.get(name, topic.topic_id) != topic.topic_id}
        self._ids |= {name: topic.topic_id for name, topic in topics.items()}
        return recreated
