"""List, show, replay or discard the dead letters of a service."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from larder.cli.conversations import LIST_SECONDS, talk_about
from larder.cli.options import page_options
from larder.cli.terminal.output import answer, json_option
from larder.cli.terminal.progress import percent, progress_report
from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from larder.dead_letters.choosing import Chosen
    from larder.dead_letters.letters import How, Name
    from larder.dead_letters.outcome import SettlingOutcome, SettlingProgress
    from larder.dead_letters.pages import LetterPage
    from larder.declaring.coordinates import Coordinates

SETTLE_SECONDS = 6 * 3600.0
"""Time to read all letters twice and to replay them, a few thousand a second. A run cut short can be resumed."""

LARGEST_LIMIT = 10_000

topic_option = click.option("--topic", metavar="T", help="Only letters about records of the topic T.")
cause_option = click.option("--cause", metavar="TEXT", help="Only letters whose cause contains TEXT; case is ignored.")


def _choosing_letters(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments and options that choose letters of a service to a command."""
    for option in (
        json_option,
        cause_option,
        topic_option,
        click.option("--all", "every", is_flag=True, help="All letters not settled yet."),
        click.argument("letters", nargs=-1, metavar="[LETTER]..."),
        click.argument("service"),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def command() -> None:
    """List, show, replay or discard the records that a service could not handle (SERVICE.dead-letters)."""


@command.command("list")
@click.argument("service")
@topic_option
@cause_option
@page_options(50, LARGEST_LIMIT)
@json_option
def list_(  # noqa: PLR0913 - each is an option
    service: str, *, topic: str | None, cause: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List the newest letters of SERVICE that were neither replayed nor discarded, newest first."""
    from larder.cli.terminal.letters import show_list  # noqa: PLC0415
    from larder.dead_letters.choosing import Chosen  # noqa: PLC0415 - imports Kafka's client
    from larder.dead_letters.describing import described  # noqa: PLC0415
    from larder.dead_letters.reading import list_letters  # noqa: PLC0415 - imports Kafka's client

    wanted = Chosen(None, topic, cause).takes
    page: LetterPage = talk_about(
        service, lambda connection, _: list_letters(connection, service, limit, cursor, wanted), LIST_SECONDS
    )
    found = {"letters": [described(each) for each in page.letters], "next": page.next, "beyond": page.beyond}
    answer(found, as_json=as_json, for_people=lambda: show_list(service, found))


@command.command()
@click.argument("service")
@click.argument("letter")
@json_option
def show(service: str, letter: str, *, as_json: bool) -> None:
    """Show one LETTER of SERVICE, named topic/partition/offset: its cause and its original record."""
    from larder.cli.terminal.letters import embedded, show_letter  # noqa: PLC0415
    from larder.dead_letters.describing import described_whole  # noqa: PLC0415
    from larder.dead_letters.letters import letter_id  # noqa: PLC0415
    from larder.dead_letters.reading import letter as read_letter  # noqa: PLC0415 - imports Kafka's client

    wanted = letter_id(letter)
    found = talk_about(service, lambda connection, _: read_letter(connection, service, wanted), LIST_SECONDS)
    if found is None:
        requires = f"requires to be among the newest 100,000 records of {service}.dead-letters"
        raise MistakeError(Problem(f"dead letter {letter}", requires, "no such letter", "see larder dead-letters list"))
    shown = described_whole(*found)
    answer({"letter": embedded(shown)}, as_json=as_json, for_people=lambda: show_letter(shown))


@command.command()
@click.option(
    "--republish", is_flag=True, help="Publish each record to its original topic, for all readers of that topic."
)
@_choosing_letters
def replay(service: str, *, republish: bool, as_json: bool, **chosen: Any) -> None:
    """Process the records of LETTERs again, each by the step that failed and by nothing else.

    Name LETTERs as topic/partition/offset, or give --all, --topic or --cause. With --republish each record goes to its
    original topic and partition, with the header larder.replayed, and every reader of the topic gets it again. Exit
    code 1: some letters could not be replayed, and are left.
    """
    _settle(service, "republished" if republish else "replayed", _chosen("replay", **chosen), as_json=as_json)


@command.command()
@_choosing_letters
def discard(service: str, *, as_json: bool, **chosen: Any) -> None:
    """Discard LETTERs: take them off the list without publishing their records.

    Name LETTERs as topic/partition/offset, or give --all, --topic or --cause.
    """
    _settle(service, "discarded", _chosen("discard", **chosen), as_json=as_json)


def _chosen(what: str, letters: tuple[str, ...], topic: str | None, cause: str | None, *, every: bool) -> Chosen:
    from larder.dead_letters.choosing import Chosen  # noqa: PLC0415 - imports Kafka's client
    from larder.dead_letters.letters import letter_id  # noqa: PLC0415

    ids: frozenset[Coordinates] | None = frozenset(map(letter_id, letters)) or None
    declared = f"larder dead-letters {what}"
    if ids is not None and (every or topic is not None or cause is not None):
        found = "also --all, --topic or --cause"
        raise MistakeError(Problem(declared, "requires letters or a choice of them", found, "leave one of them out"))
    if ids is None and not every and topic is None and cause is None:
        do = "name letters, or choose them with --all, --topic or --cause"
        raise MistakeError(Problem(declared, "requires letters", "none", do))
    return Chosen(ids, topic, cause)


def _settle(service: str, how: How, chosen: Chosen, *, as_json: bool) -> None:
    from larder.cli.terminal.letters import show_settled  # noqa: PLC0415
    from larder.dead_letters.describing import settled  # noqa: PLC0415
    from larder.dead_letters.settling import settle  # noqa: PLC0415 - imports Kafka's client

    report = progress_report(partial(_line, how=how))
    outcome: SettlingOutcome = talk_about(
        service, lambda connection, declared: settle(connection, declared, how, chosen, report), SETTLE_SECONDS
    )
    found = {
        how: [{**_named(name), **_sent(service, how, name, place)} for name, place in outcome.settled.items()],
        "already": [{**_named(name), **settled(before)} for name, before in outcome.already.items()],
        "left": [{**_named(name), "cause": cause} for name, cause in outcome.left.items()],
    }
    answer(found, as_json=as_json, for_people=lambda: show_settled(service, how, found))
    if outcome.left:
        click.get_current_context().exit(1)


def _named(name: Name) -> dict[str, Any]:
    return {"id": str(name.id), "step": name.step}


def _sent(service: str, how: How, name: Name, place: str | None) -> dict[str, Any]:
    """Return where a record was published, and its reader there."""
    if how == "discarded":
        return {}
    return {
        "as": place,
        "reaches": f"only {name.step} of {service}" if how == "replayed" else f"readers of {name.id.topic}",
    }


def _line(progress: SettlingProgress, how: How) -> str:
    return f"{percent(progress.looked_at, progress.records)} read, {progress.settled:,} {how}"
