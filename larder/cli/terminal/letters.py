"""How commands show dead letters and refusals to people. Control characters in foreign text are escaped."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click
import msgspec

from larder.cli.terminal.columns import columns
from larder.cli.terminal.output import printable, printable_lines, show_columns
from larder.declaring.plurals import counted, plural


def show_list(service: str, found: dict[str, Any]) -> None:
    """Show a page of letters, and report on standard error if there are more."""
    letters = found["letters"]
    if letters:
        rows = [(each["id"], each["at"], printable(each["key"] or "-"), printable(each["cause"])) for each in letters]
        show_columns(("letter", "at", "key", "cause"), rows)
    else:
        click.echo(f"{service} has no such dead letters")
    _show_rest(found)


def show_refusals(service: str, found: dict[str, Any]) -> None:
    """Show a count of the refusals by reason, and a page of them."""
    if (counts := found["counted"]) is not None and counts["total"]:
        least = "" if counts["whole"] else "at least "
        click.echo(f"{least}{counted(counts['total'], 'refusal')} of {service}, by reason:")
        reasons = [
            (f"{each['count']:,}", printable(each["state"]), printable(each["reason"])) for each in counts["reasons"]
        ]
        show_columns(("count", "state", "reason"), reasons, right=["count"])
    if found["refusals"]:
        rows = [
            (each["id"], each["at"], printable(each["state"]), printable(each["key"]), printable(each["reason"]))
            for each in found["refusals"]
        ]
        show_columns(("event", "at", "state", "key", "reason"), rows)
    else:
        click.echo(f"{service} has no such refusals")
    _show_rest(found)


def _show_rest(found: dict[str, Any]) -> None:
    """Report on standard error if there are records that the page does not show."""
    if found["next"]:
        click.echo(f"larder: there are more: --cursor {found['next']}", file=sys.stderr)
    if found["beyond"]:
        click.echo("larder: only the newest 100,000 records were read: there are older ones", file=sys.stderr)


def show_letter(letter: dict[str, Any]) -> None:
    """Show one letter in full, its value last."""
    facts = [(name, letter[name]) for name in ("id", "at", "service", "step", "key", "timestamp", "cause", "left_out")]
    facts += [(f"header {each['name']}", each["value"]) for each in letter["headers"]]
    if (settled := letter["settled"]) is not None:
        place = f" as {settled['replayed_as']}" if settled["replayed_as"] else ""
        facts.append((settled["how"], f"{settled['at']}{place}"))
    lines = [(printable(name).replace("_", " "), printable(str(value))) for name, value in facts if value is not None]
    click.echo(columns(("letter", ""), lines))
    if letter["shown_as"] == "json":
        click.echo(printable_lines(msgspec.json.format(bytes(letter["value"]), indent=2).decode()))
    elif letter["shown_as"] == "text":
        click.echo(printable_lines(letter["value"]))


def embedded(letter: dict[str, Any]) -> dict[str, Any]:
    """Return the letter with its value as one line of JSON, its numbers unchanged."""
    if letter["shown_as"] != "json":
        return letter
    return {**letter, "value": msgspec.Raw(msgspec.json.format(bytes(letter["value"]), indent=-1))}


def show_settled(service: str, how: str, found: dict[str, Any]) -> None:
    """Show the outcome of replaying or discarding letters."""
    for each in found["already"]:
        click.echo(f"{each['id']} was {each['how']} at {each['at']}")
    for each in found["left"]:
        click.echo(f"larder: dead letter {each['id']}: {printable(each['cause'])}", file=sys.stderr)
    for reached, count in sorted(Counter(each["reaches"] for each in found[how] if "reaches" in each).items()):
        click.echo(f"{count:,} {plural(count, 'reaches', 'reach')} {printable(reached)}")
    click.echo(f"{service}: {len(found[how]):,} {how}, {len(found['already']):,} before, {len(found['left']):,} left")
