"""A service's topics as the broker reports them: their ids, and the partition counts by which rows are placed."""

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
    """The `ids` of all topics and the `partition_counts` of those that the group reads, by name.

    `facts` is what the broker reported before the worker started.
    """

    def __init__(self, plan: ServicePlan, facts: Mapping[str, TopicFacts], memo: Memo) -> None:
        self.placement = Placement(plan, memo)
        self.placement.note({name: Described(each.topic_id, each.partitions) for name, each in facts.items()})
        self.ids = {name: each.topic_id for name, each in facts.items()}
        self.partition_counts = {name: facts[name].partitions for name in plan.group_topics}
        self.facts = facts

    def confirm(self, table: LocalTable) -> None:
        """Set a table's topic as the broker reported it before the worker started."""
        name = table.stored.topic.name
        facts = self.facts[name]
        count = self.placement.partitions(name, facts.partitions)
        table.set_topic(facts.topic_id, count, facts.delete_retention_ms / 1000)

    def note(self, found: Mapping[str, Described], tables: Mapping[str, LocalTable]) -> None:
        """Note the topics as the broker reports them now, and update the tables."""
        self.placement.note(found)
        for name, topic in found.items():
            self.ids[name] = topic.topic_id
            self.partition_counts[name] = topic.partitions
            if name in tables:
                tables[name].set_topic(topic.topic_id, self.placement.partitions(name, topic.partitions))

    def committed(self, topic: str, offset: int, by: str, known: int) -> Committed:
        """Return an offset with the metadata that its next reader needs.

        `known` is the partition count of a source whose new partitions may have to wait, 0 for any other topic.
        """
        number = self.placement.number(topic, self.partition_counts[topic]) or known
        return Committed(offset, self.ids[topic], by, number)
