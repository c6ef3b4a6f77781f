"""Faust as the harness: its worker, agents, consumer group and assignment, delivering whole batches.

Subclasses Faust's application (0.15.3). What is changed, and why, beside its consumer (`faust_consumer`):

* our own assignor is always used (`assignor`): stock Faust falls back to round-robin for an
  application without Faust tables, which is not co-partitioned (`faust/transport/drivers/aiokafka.py`);
* the group is joined at once: Faust first waits a second for an application to declare its Faust tables.

Knows partitions and batches, neither tables nor joins. `tests/larder/group/test_faust_app.py` fails
when Faust changes under it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import faust
from aiokafka.structs import TopicPartition
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager

from larder.group.assignor import Assignor
from larder.group.consumer_thread import Group
from larder.group.faust_consumer import Transport
from larder.group.intake import Intake

if TYPE_CHECKING:
    from mode.types import ServiceT


class BatchTopic(faust.Topic):
    """A topic whose events carry `(Batch, epoch)` as their value."""

    def _compile_decode(self) -> None:
        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return self._create_event(None, message.value, {}, message)

        self.decode = decode  # type: ignore[method-assign]  # as Faust's own does


class Boot(BootStrategy):
    """Starts consumer, agents and conductor; the worker has a producer and a web server of its own."""

    def kafka_producer(self) -> Iterable[ServiceT]:
        return []

    def kafka_consumer(self) -> Iterable[ServiceT]:
        return [self.app.consumer]

    def web_server(self) -> Iterable[ServiceT]:
        return []

    def sensors(self) -> Iterable[ServiceT]:
        return []


class NoTables(TableManager):
    """Faust's own tables, of which there are none: nothing is waited for before the group is joined."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """A Faust application for one service: `topics` are read in batches and handed to `intake`."""

    BootStrategy = Boot
    assignor: Assignor

    def __init__(self, group: Group, intake: Intake, topics: Collection[str]) -> None:
        super().__init__(
            group.name,
            broker=[f"kafka://{broker}" for broker in group.connection.addresses],
            Topic=BatchTopic,
            TableManager=NoTables,
            web_enabled=False,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_recovery_delay=0,
            broker_session_timeout=group.session_timeout,
            # How long Faust waits for `perform_seek`; after that it would let flow resume all the same.
            broker_request_timeout=1e9,
            broker_commit_livelock_soft_timeout=1e9,
            topic_allow_declare=False,
            autodiscover=False,
            reply_create_topic=False,
        )
        self._group = group
        self._intake = intake
        self.assignor = Assignor(self, lambda: intake.stored, standby=group.standby > 0, web=group.web)
        for topic in topics:
            self.agent(self.topic(topic), name=topic)(self._hand_over)

    async def _hand_over(self, stream: Any) -> None:
        """The agent of every topic: puts batches in, in order. Faust itself would only log that it died."""
        try:
            async for batch, epoch in stream:
                await self._intake.put(batch, epoch)
        except Exception as error:
            self._intake.fail(error)
            raise

    def _new_transport(self) -> Transport:
        return Transport(self, self._group, self._intake, self.assignor)

    def _create_directories(self) -> None:
        """None: Faust has no tables here, and would leave empty folders wherever a worker is started."""

    async def _on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if not self.should_stop:
            await self._intake.revoked()
        await super()._on_partitions_revoked(revoked)

    def _crash(self, reason: BaseException) -> None:
        """A part of Faust died (each of its parents is called): that must not leave a worker that only looks alive."""
        super()._crash(reason)
        self._intake.fail(reason)


def quiet() -> None:
    """Keep Faust's and aiokafka's chatter out of the log: the worker has its own lines.

    aiokafka logs as errors what it tries again by itself: eighty lines a second while a broker is away. What it
    cannot fix it raises; what ends a part of Faust ends the worker, which logs it once.
    """
    # Parts of Faust that are subclassed here log by the names of their modules; our own lines are of "larder".
    for name in ("faust", "mode", "aiokafka", "larder.group"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
