"""Replays and discards dead letters, each once.

One transaction commits a replayed record and the record that settles its letter. Each service has one transactional id.
A new replay fences an earlier one and ends its open transaction. Only then it reads what is settled, up to the high
watermark. So it knows all that was committed before, and no other replay can commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.errors import ProducerFenced

from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from larder.dead_letters.outcome import SettlingOutcome
from larder.dead_letters.replaying import Originals
from larder.dead_letters.rounds import TRANSACTION_TIMEOUT_MS, RefusedError, Round
from larder.dead_letters.shelves import shelf_of
from larder.declaring.problems import Problem
from larder.kafka.admin import Cluster
from larder.kafka.clients import REQUEST_TIMEOUT_MS, new_transactional_producer
from larder.kafka.readers import reader
from larder.kafka.retrying import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from larder.dead_letters.choosing import Chosen
    from larder.dead_letters.letters import How
    from larder.dead_letters.outcome import SettlingProgress

BEGINNINGS = 20
"""The number of producers to try. A record that the broker refuses ends its transaction and producer, twice until it is
identified. After ten such records, fix the topic first."""


async def settle(
    connection: Connection,
    service: str,
    how: How,
    chosen: Chosen,
    told: Callable[[SettlingProgress], None] = lambda _: None,
) -> SettlingOutcome:
    """Replay, republish or discard the chosen letters, the oldest of each partition first.

    It can be repeated after an interruption: committed letters are not settled again. Raises UnavailableError,
    KafkaError and OSError.
    """
    outcome = SettlingOutcome()
    alone = False
    for _ in range(BEGINNINGS):
        producer = new_transactional_producer(
            connection,
            f"{service}/dead-letters",  # transactional ids of workers have no slash
            TRANSACTION_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            async with within(TRANSACTION_TIMEOUT_MS / 1000, "a transaction coordinator"):
                await producer.start()
            async with (
                shelf_of(connection, service) as shelf,
                Cluster(connection) as cluster,
                reader(connection) as consumer,
            ):
                originals = Originals(service, cluster, consumer, republish=how == "republished")
                await Round(connection, shelf, originals, producer, how, chosen, outcome, told, alone=alone).go()
        except RefusedError:
            alone = not alone
        except ProducerFenced as error:
            raise _fenced(service) from error
        else:
            return outcome
        finally:
            await producer.discard()
    raise _refusing(service, outcome)


def _fenced(service: str) -> UnavailableError:
    return UnavailableError(
        Problem(
            f"dead letters of {service}",
            "requires that nobody else replays or discards them",
            "another command, which has started since",
            "wait until that one has ended, then repeat this one: nothing is done twice",
        )
    )


def _refusing(service: str, outcome: SettlingOutcome) -> UnavailableError:
    found = next(reversed(outcome.left.values()), "refusals, again and again")
    do = "check max.message.bytes and message.timestamp.* of the topics, then repeat the command: nothing is done twice"
    return UnavailableError(
        Problem(f"dead letters of {service}", "requires topics that accept their records", found, do)
    )
