"""What the broker says of a service's topics: which topic each of them is, and by which number its rows are placed."""

from __future__ import annotations

from collections.abc import Mapping

from larder.assembly.memo import Memo
from larder.assembly.placement import Placement
from larder.assembly.plan import ServicePlan
from larder.declaring.facts import TopicFacts
from larder.kafka.committed import Committed
from larder.kafka.topic_metadata import Described
from larder.local_tables.table import LocalTable


class ServiceTopics:
    """Topic ids of all topics, and `partition_counts` of those that the group reads, by name."""

    def __init__(self, plan: ServicePlan, facts: Mapping[str, TopicFacts], memo: Memo) -> None:
        self.placement = Placement(plan, memo)
        self.placement.note({name: Described(each.topic_id, each.partitions) for name, each in facts.items()})
        self.ids = {name: each.topic_id for name, each in facts.items()}
        self.partition_counts = {name: facts[name].partitions for name in plan.group_topics}
        self._facts = facts

    def confirm(self, table: LocalTable) -> None:
        """Tell a table what the broker said of its topic before the worker began."""
        facts = self._facts[table.topic.name]
        count = self.placement.partitions(table.topic.name, facts.partitions)
        table.set_topic(facts.topic_id, count, facts.delete_retention_ms / 1000)

    def note(self, found: Mapping[str, Described], tables: Mapping[str, LocalTable]) -> None:
        """Take what the broker says now, and tell the tables."""
        self.placement.note(found)
        for name, topic in found.items():
            self.ids[name] = topic.topic_id
            self.partition_counts[name] = topic.partitions
            if name in tables:
                tables[name].set_topic(topic.topic_id, self.placement.partitions(name, topic.partitions))

    def committed(self, topic: str, offset: int, by: str) -> Committed:
        """Give an offset with what is to be known of it when it is read again."""
        number = self.placement.number(topic, self.partition_counts[topic])
        return Committed(offset, self.ids[topic], by, number)
