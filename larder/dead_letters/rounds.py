"""One pass through the dead letters of a service: first it reads what is settled, then it settles the other letters.

It needs a producer that has just been initialised, so that no other producer can commit meanwhile: see `settling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.structs import TopicPartition

from larder.clock import now
from larder.config.connection import Connection
from larder.dead_letters.choosing import unfound
from larder.dead_letters.letters import Letter, Settlement, settling_headers
from larder.dead_letters.outcome import SettlingProgress
from larder.dead_letters.sending import Outgoing, send
from larder.declaring.coordinates import Coordinates
from larder.delivery.refused_records import REFUSED
from larder.kafka.readers import Span, reader, spans
from larder.kafka.retrying import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from larder.dead_letters.choosing import Chosen
    from larder.dead_letters.letters import How, LetterIdentity
    from larder.dead_letters.outcome import SettlingOutcome
    from larder.dead_letters.replaying import Originals
    from larder.dead_letters.shelves import Shelf
    from larder.kafka.transactions import TransactionalProducer

TRANSACTION_LETTERS, TRANSACTION_BYTES = 500, 4 * 1024 * 1024
"""Letters per transaction: enough to make commits cheap, few enough to hold in memory."""

TRANSACTION_TIMEOUT_MS = 30_000
"""The timeout of one transaction. The next replay does not wait for it, but readers of committed records do."""


class RefusedError(Exception):
    """The broker refused a record: the transaction is not committed, and the producer cannot continue."""


class Ready(NamedTuple):
    """A letter to settle, without its value, and the record to replay for it; None to discard the letter."""

    letter: Letter
    replay: Outgoing | None


@dataclass
class Round:
    """One pass through the letters, with a producer that has just been initialised.

    `originals` makes the records to replay; None to discard the letters.
    """

    connection: Connection
    shelf: Shelf
    originals: Originals | None
    producer: TransactionalProducer
    how: How
    chosen: Chosen
    outcome: SettlingOutcome
    told: Callable[[SettlingProgress], None]
    alone: bool
    _looked_at: int = 0
    _records: int = 0

    async def go(self) -> None:
        """Settle all chosen letters that are unsettled; raises RefusedError and KafkaError."""
        tps = [TopicPartition(self.shelf.topic, partition) for partition in range(self.shelf.partitions)]
        # Records that were committed after the start of an open transaction count: read up to the high watermark.
        async with reader(self.connection, "read_uncommitted") as consumer:
            ends = await spans(consumer, tps)
        self._records = 2 * sum(span.end - span.begin for span in ends.values())
        unmet = set(self.chosen.ids or ())
        for partition in self.chosen.partitions(self.shelf.partitions):
            if self.chosen.ids is None or unmet:
                unmet -= await self._partition(partition, ends[TopicPartition(self.shelf.topic, partition)])
        self.outcome.left |= unfound(unmet, self.shelf.topic)

    async def _partition(self, partition: int, span: Span) -> set[Coordinates]:
        """Settle the letters of a partition; returns the ids that it found."""
        settled = await self._settled(partition, span)
        met: set[Coordinates] = set()
        chunk: list[Ready] = []
        size = 0
        async for entry in self.shelf.entries(partition, span):
            self._tell()
            if not isinstance(entry, Letter) or not self.chosen.takes(entry):
                continue
            if self.chosen.ids is not None:
                met.add(entry.id)
            if self._is_open(entry, settled) and (ready := await self._ready(entry)) is not None:
                settled[entry.identity] = None
                chunk.append(ready)
                size += len((ready.replay and ready.replay.value) or b"")
            if self.alone or len(chunk) >= TRANSACTION_LETTERS or size >= TRANSACTION_BYTES:
                await self._commit(chunk)
                chunk, size = [], 0
        await self._commit(chunk)
        return met

    async def _settled(self, partition: int, span: Span) -> dict[LetterIdentity, Settlement | None]:
        """Return what is settled, by letter; this pass will add its own as None."""
        found: dict[LetterIdentity, Settlement | None] = {}
        async for entry in self.shelf.entries(partition, span):
            self._tell()
            if isinstance(entry, Settlement):
                found.setdefault(entry.identity, entry)
        return found

    def _is_open(self, letter: Letter, settled: dict[LetterIdentity, Settlement | None]) -> bool:
        name = letter.identity.name
        if letter.identity not in settled:
            return name not in self.outcome.left
        before = settled[letter.identity]
        if self.chosen.ids is not None and before is not None and name not in self.outcome.settled:
            self.outcome.already[name] = before
        return False

    async def _ready(self, letter: Letter) -> Ready | None:
        """Prepare the letters that can be settled, and record why the others cannot."""
        replay = None if self.originals is None else await self.originals.replay(letter)
        if isinstance(replay, str):
            self.outcome.left[letter.identity.name] = replay
            return None
        return Ready(letter.summary(), replay)

    async def _commit(self, ready: list[Ready]) -> None:
        if not ready:
            return
        places: list[str | None] = []

        async def publish() -> None:
            offsets = iter(await send(self.producer, [replay for _, replay in ready if replay is not None]))
            places.extend(
                None if replay is None else str(Coordinates(replay.tp.topic, replay.tp.partition, next(offsets)))
                for _, replay in ready
            )
            await send(self.producer, [self._marker(each.letter, at) for each, at in zip(ready, places, strict=True)])

        try:
            async with within(TRANSACTION_TIMEOUT_MS / 1000, "a transaction to be committed"):
                await self.producer.in_one(publish)
        except REFUSED as error:
            if self.alone:
                self.outcome.left[ready[0].letter.identity.name] = (
                    f"replaying requires its topic to accept it; found {error}"
                )
            raise RefusedError from error
        names = [letter.identity.name for letter, _ in ready]
        self.outcome.settled |= dict(zip(names, places, strict=True))

    def _marker(self, letter: Letter, replayed_as: str | None) -> Outgoing:
        tp = TopicPartition(self.shelf.topic, letter.place.partition)
        headers = settling_headers(letter.identity, self.how, replayed_as)
        return Outgoing(tp, str(letter.id).encode(), None, int(now() * 1000), headers, self.shelf.largest)

    def _tell(self) -> None:
        self._looked_at += 1
        self.told(SettlingProgress(self._looked_at, self._records, len(self.outcome.settled)))
