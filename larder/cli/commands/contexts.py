"""List the contexts: which services read one another's tables, and the topics that they read of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from larder.cli.terminal.output import answer, json_option
from larder.config.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.declaring.contexts import DeclaredContext, ForeignTopic


@click.command("contexts")
@json_option
def command(*, as_json: bool) -> None:
    """List the contexts: which services read one another's tables over HTTP, and the topics that they read of others.

    Only services of one context have to reach each other's web ports. All others share nothing but topics.
    """
    from larder.config.declared import declared_services  # noqa: PLC0415 - imports what the user wrote
    from larder.declaring.contexts import contexts  # noqa: PLC0415 - with them

    found = contexts(list(declared_services(load_settings().settings.modules).values()))
    told = {"contexts": [_described(each) for each in found]}
    answer(told, as_json=as_json, for_people=lambda: _show(found))


def _described(context: DeclaredContext) -> dict[str, object]:
    return {
        "context": context.name,
        "services": context.services,
        "remote_reads": [each._asdict() for each in context.reads],
        "topics": [{**each._asdict(), "of": each.of or None} for each in context.topics],
    }


def _show(found: Sequence[DeclaredContext]) -> None:
    for context in found:
        click.echo(click.style(context.name or "in no context", bold=True) + f": {', '.join(context.services)}")
        for read in context.reads:
            click.echo(f"  {read.service} reads {read.table} of {read.of} over HTTP, in call {read.call}")
        for topic in context.topics:
            click.echo(f"  {', '.join(topic.by)} read{'s' if len(topic.by) == 1 else ''} {topic.topic}{_from(topic)}")


def _from(topic: ForeignTopic) -> str:
    if not topic.of:
        return ", whose writer is not declared here"
    return f" of {topic.of}, {'in no context' if topic.context is None else f'in {topic.context}'}"
