"""Conversations with the broker about the dead letters and refusals of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.config.connection import Connection
from larder.config.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from larder.declaring.service import Service

LIST_SECONDS = 60.0
"""Time to read at most 100,000 records, which may be large."""


def talk_about(
    service: str, conversation: Callable[[Connection, Service], Coroutine[Any, Any, Any]], seconds: float
) -> Any:
    """Run a conversation about a declared service; a mistyped name is an error rather than an empty list."""
    from larder.client.brokers import serving_broker  # noqa: PLC0415 - imports Kafka's client
    from larder.config.declared import declared_services, service_named  # noqa: PLC0415 - imports what the user wrote
    from larder.kafka.conversations import talk  # noqa: PLC0415

    declared = service_named(declared_services(load_settings().settings.modules), service)
    connection = serving_broker()
    return talk(connection, conversation(connection, declared), seconds)
