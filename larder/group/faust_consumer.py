"""The group's consumer as Faust sees it: its transport, its flow of batches, and where partitions start.

It subclasses Faust's consumer and transport (0.15.3). These things differ from stock Faust:

* The consumer passes on one message for each fetched batch, not for each record, which takes a hundred times fewer
  queue steps. It reads only committed records and never resets an offset on its own.
* Only the worker commits offsets, with its outputs or after them. Faust's commit handler, `wait_empty` and stop would
  commit records that an agent has received but not processed.
* After an assignment every partition is sought explicitly to the offset that `Intake.start` returns, however long that
  takes. Nothing is fetched before Faust resumes the flow, since Faust then empties its queues.

The module knows partitions and batches, but neither tables nor joins. `tests/larder/group/test_faust_app.py` fails when
Faust changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from itertools import count
from typing import Any, cast

from aiokafka.errors import CommitFailedError, InconsistentGroupProtocolError, InvalidSessionTimeoutError, KafkaError
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage, Message

from larder.declaring.problems import LarderError, Problem
from larder.group import questions
from larder.group.assignor import Assignor
from larder.group.consumer_thread import Group, Thread
from larder.group.intake import Intake
from larder.group.peers import Peer
from larder.group.start_offsets import Offsets
from larder.kafka.batch_consumer import Batch
from larder.kafka.committed import Committed
from larder.kafka.foreign_members import ForeignMembersError
from larder.kafka.topic_metadata import Described
from larder.kafka.transactions import Member


class SessionRefusedError(LarderError):
    """The broker does not accept sessions of that length."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            str(Problem(
                "setting session_timeout_s",
                "requires a value that the broker accepts (group.min.session.timeout.ms, group.max.session.timeout.ms)",
                f"{seconds:g}, which it refuses",
                "raise it (stock brokers accept 6 and more), or change the broker",
            ))
        )  # fmt: skip


class Consumer(driver.Consumer):
    """Passes on one message for each fetched batch, and sends requests to the brokers in its thread."""

    _thread: Thread

    def __init__(
        self, transport: Any, *, group: Group, intake: Intake, assignor: Assignor, **options: Any
    ) -> None:  # fmt: skip
        self._group = group
        self._intake = intake
        self._assignor = assignor
        self._numbers = count(1)
        self._seeking = asyncio.Lock()
        self._resumes = False
        super().__init__(transport, **options)

    async def check_group(self) -> None:
        """Raise the error that keeps this worker out of its group: aiokafka keeps it until it is checked."""
        try:
            await self._thread.check_group()
        except InvalidSessionTimeoutError as error:
            raise SessionRefusedError(self._group.session_timeout) from error
        except InconsistentGroupProtocolError as error:
            raise ForeignMembersError(self._group.name, await self._thread.ask(questions.foreign_members)) from error
        except KafkaError as error:
            # With members of the newer protocol, brokers answer with different errors, and aiokafka wraps some.
            if type(error) is KafkaError and (found := await self._thread.ask(questions.members_of_newer_protocol)):
                raise ForeignMembersError(self._group.name, found) from error
            raise

    @property
    def can_be_asked(self) -> bool:
        """Whether there is a consumer, whose loop is running."""
        return self._thread.can_be_asked

    def stay(self) -> None:
        """Stay in the group when this consumer stops."""
        self._thread.stay()

    async def offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        return await self._thread.ask(partial(questions.offsets, tps=tps))

    async def members(self) -> set[str]:
        """Return the current members of the group by `Group.member`."""
        return await self._thread.ask(questions.members)

    async def peers(self) -> list[Peer] | None:
        """Return the members and their partitions; None during a rebalance, or while there is no consumer."""
        if not self._thread.can_be_asked:
            return None
        return await self._thread.ask(partial(questions.peers, service=self._group.name))

    async def describe(self, topics: Collection[str]) -> Mapping[str, Described]:
        return await self._thread.ask(partial(questions.topics, names=topics))

    def member(self) -> Member:
        """Return this worker's membership as of the last assignment; raise CommitFailedError before the first."""
        if self._thread.member is None:
            raise CommitFailedError
        return self._thread.member

    async def commit_offsets(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit offsets; raise CommitFailedError or IllegalStateError if the group has moved on."""
        await self._thread.ask(partial(questions.commit, committed=offsets))

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, self._group, self._assignor, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> Any:  # noqa: ARG002, ASYNC109 - Faust's signature; see POLL_SECONDS
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
        intake = self._intake
        epoch = intake.epoch
        fetched = await self._thread.fetch(frozenset(intake.wanted()))
        if self.should_stop or epoch != intake.epoch:
            return
        if fetched.out_of_range:
            intake.out_of_range(fetched.out_of_range)
        for batch in fetched.batches:
            yield batch.tp, self._message(batch, epoch)
        if epoch == intake.epoch:
            intake.observe_ends(fetched.ends)

    def _message(self, batch: Batch, epoch: int) -> ConsumerMessage:
        """Return a message for Faust with a rising number, since Faust drops any message with a lower one.

        The position does not serve as the number. A rewind may come while Faust passes a batch on and is about to note
        its number, and Faust would drop the records that are read again.
        """
        tp, value = batch.tp, cast("Any", (batch, epoch))
        return ConsumerMessage(
            tp.topic, tp.partition, next(self._numbers), 0.0, 0, [], b"", value, None, 0, 0, TP(*tp),
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def perform_seek(self) -> None:
        """Seek the starting offsets. Faust calls this after an assignment, before it resumes the flow.

        Nothing may be fetched until then, because Faust empties the queues of its agents when it resumes the flow.
        Faust does not always stop the flow first: not if nothing was assigned, or if one rebalance overtakes another.
        Records fetched in between would be lost (faust-streaming/faust issue 596 describes this for recovery).
        """
        # A rewind and an assignment may come together, and their seeks must not interleave.
        async with self._seeking:
            await self._go_to_starts()

    async def rewind(self) -> None:
        """Return to the committed offsets in the middle of an assignment."""
        async with self._seeking:
            self._resumes = self.flow_active
            await self._go_to_starts()
        if self._resumes:
            self.resume_flow()

    def resume_flow(self) -> None:
        """Resume the flow. Faust calls this after an assignment. During a seek, the flow resumes after it."""
        if self._seeking.locked():
            self._resumes = True
        else:
            super().resume_flow()

    async def _go_to_starts(self) -> None:
        self.stop_flow()
        assigned = [TopicPartition(*tp) for tp in self._thread.assignment()]
        positions = await self._intake.start(assigned, self._assignor.standbys)
        await self._thread.seek_all(positions)

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Do nothing: the worker commits offsets, with its outputs or after them."""
        return True

    async def wait_empty(self) -> None:
        """Return at once: `Intake.revoked` finishes the work in progress."""

    async def _add_gap(self, *_: Any) -> None:
        """Do nothing: missing offsets between batches are not gaps."""

    def ack(self, message: Message) -> bool:  # noqa: ARG002
        """Do nothing: see `commit`."""
        return True


class Transport(driver.Transport):
    """Creates our consumer."""

    def __init__(self, app: Any, group: Group, intake: Intake, assignor: Assignor) -> None:
        super().__init__(app.conf.broker_consumer, app, loop=app.loop)
        self._group = group
        self._intake = intake
        self._assignor = assignor

    def create_consumer(self, callback: Any, **options: Any) -> Consumer:
        return Consumer(
            self, group=self._group, intake=self._intake, assignor=self._assignor, callback=callback, loop=self.loop,
            **options,
        )  # fmt: skip
