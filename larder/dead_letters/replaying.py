"""Makes the record to replay for a letter; fetches parts that the letter left out from its original topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiokafka.structs import TopicPartition

from larder.dead_letters.choosing import beyond, elsewhere, nameless, obstacle, too_large, uncreated, unread
from larder.dead_letters.letters import PREFIX, replayed_headers, stepped_headers
from larder.dead_letters.sending import Outgoing
from larder.declaring.facts import replays_name
from larder.kafka.readers import Span, records, spans

if TYPE_CHECKING:
    from larder.dead_letters.inputs import Inputs, PartitionOf
    from larder.dead_letters.letters import Letter
    from larder.declaring.facts import TopicFacts
    from larder.kafka.admin import Cluster
    from larder.kafka.batch_consumer import BatchConsumer


class _Target(NamedTuple):
    """The topic to replay a letter in, and the partition of its record there: None if it is the same."""

    topic: str
    facts: TopicFacts
    partition_of: PartitionOf | None = None


class Originals:
    """The original topics of a service's letters, and the topics in which it replays them.

    `inputs` are those of the service today. `republish`: records go to their original topics, for all readers.
    """

    def __init__(
        self, service: str, inputs: Inputs, cluster: Cluster, consumer: BatchConsumer, *, republish: bool
    ) -> None:
        """Use a cluster, and a consumer that nothing else uses."""
        self._service = service
        self._inputs = inputs
        self._cluster = cluster
        self._consumer = consumer
        self._republish = republish
        self._facts: dict[str, TopicFacts | None] = {}

    async def replay(self, letter: Letter) -> Outgoing | str:
        """Return the record to replay for a letter, or why it cannot be replayed; raises KafkaError."""
        found = await self._target(letter)
        if isinstance(found, str):
            return found
        topic, facts, partition_of = found
        whole = letter if letter.left_out is None else await self._whole(letter)
        if whole is None:
            lost = f"{letter.left_out}, which is gone from {letter.id.topic}"
            return f"replaying requires the complete record; found all but {lost}"
        headers = replayed_headers(whole) if self._republish else stepped_headers(whole)
        if (refusal := too_large(whole, topic, headers, facts)) is not None:
            return refusal
        partition = letter.id.partition if partition_of is None else partition_of(whole, facts.partitions)
        tp = TopicPartition(topic, partition)
        return Outgoing(tp, whole.key, whole.value, whole.timestamp, headers, facts.max_message_bytes)

    async def _target(self, letter: Letter) -> _Target | str:
        """Return where to replay a letter, or why it cannot be replayed."""
        topic = letter.id.topic
        if (facts := await self._known(topic)) is None:
            return f"replaying requires its topic; found no {topic}"
        if (found := obstacle(letter, facts)) is not None:
            return found
        if self._republish:
            return unread(letter) if self._inputs.forsaken(topic) else _Target(topic, facts)
        return await self._at_step(letter)

    async def _at_step(self, letter: Letter) -> _Target | str:
        """Return where the step of a letter reads replays today, or why it reads none."""
        if letter.step is None:
            return nameless(letter)
        if (place := self._inputs.of(letter)) is None:
            return elsewhere(letter, republish=not self._inputs.forsaken(letter.id.topic))
        topic = replays_name(self._service, place.topic)
        if (facts := await self._known(topic)) is None:
            return uncreated(letter, topic)
        found = beyond(letter, topic, facts) if place.partition_of is None else None
        return found or _Target(topic, facts, place.partition_of)

    async def _known(self, topic: str) -> TopicFacts | None:
        if topic not in self._facts:
            self._facts[topic] = (await self._cluster.facts([topic])).get(topic)
        return self._facts[topic]

    async def _whole(self, letter: Letter) -> Letter | None:
        """Return a letter completed from its original record; None if that is gone."""
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
