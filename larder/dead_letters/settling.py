"""Replays and discards dead letters, each once.

One transaction commits a replayed record and the record that settles its letter. Each service has one transactional id.
A new replay fences an earlier one and ends its open transaction. Only then it reads what is settled, up to the high
watermark. So it knows all that was committed before, and no other replay can commit.

While a service is being scaled, its topics of replays are copied up to their ends, and nobody would read what comes
later. So its workers fence a replay in the same way once they have begun, and a replay that begins later sees that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.errors import ProducerFenced

from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from larder.dead_letters.inputs import Inputs
from larder.dead_letters.outcome import SettlingOutcome
from larder.dead_letters.replaying import Originals
from larder.dead_letters.rounds import TRANSACTION_TIMEOUT_MS, RefusedError, Round
from larder.dead_letters.shelves import shelf_of
from larder.declaring.dead_letters import settling_id
from larder.declaring.generations import placed
from larder.declaring.growth import OPEN, GrowthPhase
from larder.declaring.problems import Problem
from larder.kafka.admin import Cluster
from larder.kafka.clients import REQUEST_TIMEOUT_MS, new_transactional_producer
from larder.kafka.readers import reader
from larder.kafka.retrying import within
from larder.worker.growth_log import read_if_written

if TYPE_CHECKING:
    from collections.abc import Callable

    from larder.dead_letters.choosing import Chosen
    from larder.dead_letters.letters import How
    from larder.dead_letters.outcome import SettlingProgress
    from larder.declaring.service import Service

BEGINNINGS = 20
"""The number of producers to try. A record that the broker refuses ends its transaction and producer, twice until it is
identified. After ten such records, fix the topic first."""


async def settle(
    connection: Connection,
    service: Service,
    how: How,
    chosen: Chosen,
    told: Callable[[SettlingProgress], None] = lambda _: None,
) -> SettlingOutcome:
    """Replay, republish or discard the chosen letters, the oldest of each partition first.

    `service` is what its user declares. It can be repeated after an interruption: committed letters are not settled
    again. Raises UnavailableError, DeclarationError, KafkaError and OSError.
    """
    outcome = SettlingOutcome()
    alone = False
    for _ in range(BEGINNINGS):
        producer = new_transactional_producer(
            connection, settling_id(service.name), TRANSACTION_TIMEOUT_MS, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            async with within(TRANSACTION_TIMEOUT_MS / 1000, "a transaction coordinator"):
                await producer.start()
            async with (
                shelf_of(connection, service.name) as shelf,
                Cluster(connection) as cluster,
                reader(connection) as consumer,
            ):
                originals = None
                if how != "discarded":
                    inputs = Inputs(await _as_run(cluster, service))
                    originals = Originals(service.name, inputs, cluster, consumer, republish=how == "republished")
                await Round(connection, shelf, originals, producer, how, chosen, outcome, told, alone=alone).go()
        except RefusedError:
            alone = not alone
        except ProducerFenced as error:
            if how != "discarded":
                async with Cluster(connection) as cluster:
                    await _as_run(cluster, service)
            raise _fenced(service.name) from error
        else:
            return outcome
        finally:
            await producer.discard()
    raise _refusing(service.name, outcome)


async def _as_run(cluster: Cluster, service: Service) -> Service:
    """Return a service as its workers run it; raise UnavailableError while they copy its topics.

    A replay would stay behind in a topic that is copied up to its end. Workers that have written down no generation
    read all topics as they are declared.
    """
    known = await read_if_written(cluster, service.name)
    if known is not None and known.state.phase in OPEN:
        raise _being_scaled(service.name, known.state.phase)
    return service if known is None or known.generation is None else placed(service, known.generation)


def _being_scaled(service: str, phase: GrowthPhase) -> UnavailableError:
    return UnavailableError(
        Problem(
            f"dead letters of {service}",
            "are replayed while the service processes records",
            f"that it is being scaled ({phase.value})",
            f"wait until larder scale {service} ends, then repeat this command: nothing is done twice",
        )
    )


def _fenced(service: str) -> UnavailableError:
    return UnavailableError(
        Problem(
            f"dead letters of {service}",
            "requires that nobody else replays or discards them",
            "another command, which has started since, or larder scale",
            "wait until that one has ended, then repeat this one: nothing is done twice",
        )
    )


def _refusing(service: str, outcome: SettlingOutcome) -> UnavailableError:
    found = next(reversed(outcome.left.values()), "refusals, again and again")
    do = "check max.message.bytes and message.timestamp.* of the topics, then repeat the command: nothing is done twice"
    return UnavailableError(
        Problem(f"dead letters of {service}", "requires topics that accept their records", found, do)
    )
