"""Makes the record that a letter is replayed as; what the letter left out is fetched where the original lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.structs import TopicPartition

from larder.dead_letters.choosing import obstacle, stepless, too_large
from larder.dead_letters.letters import PREFIX, replayed_headers, stepped_headers
from larder.dead_letters.sending import Outgoing
from larder.declaring.facts import replays_name
from larder.kafka.readers import Span, records, spans

if TYPE_CHECKING:
    from larder.dead_letters.letters import Letter
    from larder.declaring.facts import TopicFacts
    from larder.kafka.admin import Cluster
    from larder.kafka.batch_consumer import BatchConsumer


class Originals:
    """The topics that letters of a service came from, and those that its steps read again.

    `republish`: records go to the topics that they came from, for all readers.
    """

    def __init__(self, service: str, cluster: Cluster, consumer: BatchConsumer, *, republish: bool) -> None:
        """Ask a cluster, and read with a consumer that is used for nothing else."""
        self._service = service
        self._cluster = cluster
        self._consumer = consumer
        self._republish = republish
        self._facts: dict[str, TopicFacts | None] = {}

    async def replay(self, letter: Letter) -> Outgoing | str:
        """Give the record that a letter is replayed as, or why it cannot be; raises KafkaError."""
        found = await self._topic(letter)
        if isinstance(found, str):
            return found
        topic, facts = found
        whole = letter if letter.left_out is None else await self._whole(letter)
        if whole is None:
            lost = f"{letter.left_out}, and it is gone from {letter.id.topic}"
            return f"replaying requires the whole record; found all but {lost}"
        headers = replayed_headers(whole) if self._republish else stepped_headers(whole)
        if (refusal := too_large(whole, topic, headers, facts)) is not None:
            return refusal
        tp = TopicPartition(topic, letter.id.partition)
        return Outgoing(tp, whole.key, whole.value, whole.timestamp, headers, facts.max_message_bytes)

    async def _topic(self, letter: Letter) -> tuple[str, TopicFacts] | str:
        """Give the topic that a letter is replayed in, or why it cannot be."""
        topic = letter.id.topic
        if (facts := await self._known(topic)) is None:
            return f"replaying requires its topic; found no {topic}"
        if (found := obstacle(letter, facts)) is not None:
            return found
        if self._republish:
            return topic, facts
        topic = replays_name(self._service, topic)
        facts = await self._known(topic)
        found = stepless(letter, topic, None if facts is None else facts.partitions)
        return found if found or facts is None else (topic, facts)

    async def _known(self, topic: str) -> TopicFacts | None:
        if topic not in self._facts:
            self._facts[topic] = (await self._cluster.facts([topic])).get(topic)
        return self._facts[topic]

    async def _whole(self, letter: Letter) -> Letter | None:
        """Give a letter with all that its original has; None if that is not there any more."""
        topic, partition, offset = letter.id
        tp = TopicPartition(topic, partition)
        there = (await spans(self._consumer, [tp]))[tp]
        if not there.begin <= offset < there.end:
            return None
        async for some in records(self._consumer, tp, Span(offset, offset + 1)):
            for record in some:
                if record.offset == offset and record.timestamp == letter.timestamp:
                    headers = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
                    return letter._replace(key=record.key, value=record.value, headers=headers)
        return None
