"""The world outside: a provider of payments, a mail server and a supplier, which services ask in calls."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from os import environ
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession

from larder import Unavailable
from larder.types import Attempt

URL: Final = environ.get("OUTSIDE_URL", "http://127.0.0.1:8099")
"""Where it is. `python -m app.outside` is a small one."""

OUTAGES: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE})


class Answer(NamedTuple):
    """The status of an answer, and its JSON."""

    status: int
    body: Mapping[str, Any]


async def ask(path: str, body: Mapping[str, object], attempt: Attempt, *accepted: HTTPStatus) -> Answer:
    """Post JSON to the outside, which acts once for the key of the attempt, and return its answer.

    Raise Unavailable for an outage, and RuntimeError for an answer that is neither OK nor `accepted`.
    """
    try:
        async with (
            ClientSession() as session,
            session.post(URL + path, json=body, headers={**attempt.headers, "Idempotency-Key": attempt.key}) as answer,
        ):
            check(path, answer.status, accepted)
            return Answer(answer.status, await answer.json())
    except ClientError as error:
        message = f"{path}: {type(error).__name__}"
        raise Unavailable(message) from error


def check(path: str, status: int, accepted: Collection[int]) -> None:
    """Raise Unavailable for a status that says that nobody is served now, RuntimeError for others not accepted."""
    message = f"{path} answers {status}"
    if status in OUTAGES:
        raise Unavailable(message)
    if status not in {HTTPStatus.OK, *accepted}:
        raise RuntimeError(message)
