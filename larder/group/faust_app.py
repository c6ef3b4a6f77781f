"""Faust as the harness: its worker, agents, consumer group and assignment, with whole batches as messages.

It subclasses Faust's application (0.15.3). These things differ from stock Faust, apart from the consumer
(`faust_consumer`):

* Our own assignor is always used (`assignor`). Stock Faust falls back to round-robin for an application without Faust
  tables, which is not co-partitioned (`faust/transport/drivers/aiokafka.py`).
* The worker joins the group at once. Stock Faust first waits a second for the application to declare Faust tables.

The module knows partitions and batches, but neither tables nor joins. `tests/larder/group/test_faust_app.py` fails when
Faust changes.
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
    """Starts consumer, agents and conductor only: the worker has its own producer and web server."""

    def kafka_producer(self) -> Iterable[ServiceT]:
        return []

    def kafka_consumer(self) -> Iterable[ServiceT]:
        return [self.app.consumer]

    def web_server(self) -> Iterable[ServiceT]:
        return []

    def sensors(self) -> Iterable[ServiceT]:
        return []


class NoTables(TableManager):
    """Faust's own tables, of which there are none: the worker joins the group without waiting for them."""

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
            # How long Faust waits for `perform_seek`; after that it would resume the flow anyway.
            broker_request_timeout=1e9,
            broker_commit_livelock_soft_timeout=1e9,
            topic_allow_declare=False,
            autodiscover=False,
            reply_create_topic=False,
        )
        self._group = group
        self._intake = intake
        self.assignor = Assignor(self, lambda: intake.stored, standby=group.standby > 0, web=group.web, step=group.step)
        for topic in topics:
            self.agent(self.topic(topic), name=topic)(self._hand_over)

    async def _hand_over(self, stream: Any) -> None:
        """Pass batches to the intake in order, as the agent of every topic. Faust alone would only log its failure."""
        try:
            async for batch, epoch in stream:
                await self._intake.put(batch, epoch)
        except Exception as error:
            self._intake.fail(error)
            raise

    def _new_transport(self) -> Transport:
        return Transport(self, self._group, self._intake, self.assignor)

    def _create_directories(self) -> None:
        """Create none: there are no Faust tables, and Faust would leave empty folders where a worker starts."""

    async def _on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if not self.should_stop:
            await self._intake.revoked()
        await super()._on_partitions_revoked(revoked)

    def _crash(self, reason: BaseException) -> None:
        """Fail with a part of Faust (called for each of its parents): the worker must not live on without it."""
        super()._crash(reason)
        self._intake.fail(reason)


def quiet() -> None:
    """Silence the loggers of Faust and aiokafka: the worker logs its own lines.

    aiokafka logs errors that it retries itself, up to eighty lines a second while a broker is unreachable. It raises
    the others. An error that ends a part of Faust ends the worker, which logs it once.
    """
    # Our subclasses of Faust's parts log under their module names, our own lines under "larder".
    for name in ("faust", "mode", "aiokafka", "larder.group"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
