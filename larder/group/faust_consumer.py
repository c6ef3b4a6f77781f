"""The group's consumer as Faust's parts know it: its transport, its flow of batches, and where partitions start.

Subclasses Faust's consumer and transport (0.15.3). What is changed, and why:

* the consumer hands on one message for each fetched batch, not for each record (a hundred times
  fewer queue steps), reads committed records only and never resets an offset by itself;
* offsets are committed by our own hand only, with the outputs or after them: Faust's commit
  handler, `wait_empty` and stop would commit what was merely handed to an agent;
* at an assignment every partition is sought explicitly, to where `Intake.start` says, however long that takes, and
  nothing is taken before Faust lets flow resume: it would be dropped with the queues that Faust empties then.

Knows partitions and batches, neither tables nor joins. `tests/larder/group/test_faust_app.py` fails
when Faust changes under it.
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
    """The broker does not take sessions of that length."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            str(Problem(
                "setting session_timeout_s",
                "requires what the broker takes (group.min.session.timeout.ms, group.max.session.timeout.ms)",
                f"{seconds:g}, which it refuses",
                "raise it (stock brokers take 6 and more), or change the broker",
            ))
        )  # fmt: skip


class Consumer(driver.Consumer):
    """Hands on one message for each fetched batch, and asks the brokers in its thread."""

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
        """Raise what keeps this worker out of its group: aiokafka raises it when it is asked, and waits until then."""
        try:
            await self._thread.check_group()
        except InvalidSessionTimeoutError as error:
            raise SessionRefusedError(self._group.session_timeout) from error
        except InconsistentGroupProtocolError as error:
            raise ForeignMembersError(self._group.name, await self._thread.ask(questions.foreign_members)) from error
        except KafkaError as error:
            # What the broker answers where members of the newer protocol are differs; aiokafka wraps what it is.
            if type(error) is KafkaError and (found := await self._thread.ask(questions.members_of_newer_protocol)):
                raise ForeignMembersError(self._group.name, found) from error
            raise

    async def offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        return await self._thread.ask(partial(questions.offsets, tps=tps))

    async def members(self) -> set[str]:
        """Who is in the group now, by `Group.member`."""
        return await self._thread.ask(questions.members)

    async def peers(self) -> list[Peer] | None:
        """Who is in the group and has what; None while that is being decided, or while nobody can be asked."""
        if not self._thread.can_be_asked:
            return None
        return await self._thread.ask(partial(questions.peers, service=self._group.name))

    async def describe(self, topics: Collection[str]) -> Mapping[str, Described]:
        return await self._thread.ask(partial(questions.topics, names=topics))

    def member(self) -> Member:
        """This worker in its group, as it was at the last assignment; raises CommitFailedError before the first."""
        if self._thread.member is None:
            raise CommitFailedError
        return self._thread.member

    async def commit_offsets(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit; raises CommitFailedError or IllegalStateError when the group has moved on."""
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
        """A message for Faust, which drops whatever has a lower number than the one before it.

        Not the position: a rewind may come while Faust hands a batch on and is about to note its number, and
        what is read again from before it would be dropped.
        """
        tp, value = batch.tp, cast("Any", (batch, epoch))
        return ConsumerMessage(
            tp.topic, tp.partition, next(self._numbers), 0.0, 0, [], b"", value, None, 0, 0, TP(*tp),
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def perform_seek(self) -> None:
        """Called by Faust after an assignment, before it lets flow resume; nothing is taken until then.

        Faust empties the queues of its agents when it lets flow resume, and does not always stop it before: where
        nothing was assigned, or where one rebalance overtakes another. What was taken in between would be lost
        (faust-streaming/faust issue 596 has it of recovery).
        """
        # A rewind and an assignment may come together: positions of one must not be sought after those of the other.
        async with self._seeking:
            await self._go_to_starts()

    async def rewind(self) -> None:
        """Go back to what is committed, in the midst of an assignment."""
        async with self._seeking:
            self._resumes = self.flow_active
            await self._go_to_starts()
        if self._resumes:
            self.resume_flow()

    def resume_flow(self) -> None:
        """Called by Faust after an assignment; while positions are sought, what comes after that is asked for."""
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
        """Nothing: offsets are committed by the worker, after its outputs."""
        return True

    async def wait_empty(self) -> None:
        """Nothing to wait for: `Intake.revoked` finishes what is under way."""

    async def _add_gap(self, *_: Any) -> None:
        """Nothing: offsets between batches are no gaps."""

    def ack(self, message: Message) -> bool:  # noqa: ARG002
        """Nothing to remember: see `commit`."""
        return True


class Transport(driver.Transport):
    """Makes our consumer."""

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
