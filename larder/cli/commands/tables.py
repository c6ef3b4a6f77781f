"""List the tables of the local workers: rows, state, lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from larder.cli.options import at_option
from larder.cli.terminal.output import answer, json_option, show_columns
from larder.client.asking import workers_at
from larder.client.local_workers import ask_all
from larder.observability.sums import over_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.client.local_workers import Reply


@click.command("tables")
@click.argument("table", required=False)
@at_option
@json_option
def command(*, table: str | None, at: str | None, as_json: bool) -> None:
    """List the tables of the workers that use the same data directory: rows, state, lag, freshness.

    With TABLE, show one line for each partition that a worker holds.
    """
    replies = ask_all(workers_at(at), "/services")
    found = [each for reply in replies for each in _tables(reply) if table in {None, each["table"]}]
    silent = [reply.worker.worker for reply in replies if not reply.status]
    show = _show if table is None else _show_partitions
    answer({"tables": found, "silent": silent}, as_json=as_json, for_people=lambda: show(found, silent))


def _tables(reply: Reply) -> Iterator[dict[str, Any]]:
    for table in reply.body.get("tables", ()):
        partitions = table["partitions"]
        yield {
            "table": table["table"],
            "held": table["held"],
            "service": reply.body["service"],
            "worker": reply.body["worker"],
            "rows": table["rows"],
            "states": sorted({each["phase"].replace("_", " ") for each in partitions}),
            "rejected": table["parked"],
            "diverging": table["diverging"],
            "lag": over_all(sum, [each["lag"] for each in partitions]),
            "freshness_s": over_all(max, [each["freshness_s"] for each in partitions]),
            "partitions": partitions,
        }


def _show(found: list[dict[str, Any]], silent: list[str]) -> None:
    for worker in silent:
        click.echo(f"{worker} does not answer")
    if not found:
        click.echo("no worker with tables runs here: larder services lists the services to start")
        return
    rows = []
    for each in found:
        held = "global" if each["held"] == "global" else f"partitions {_numbers(each)}"
        lag = "?" if each["lag"] is None else f"{each['lag']:,}"
        age = "never" if each["freshness_s"] is None else f"{each['freshness_s']:.1f} s"
        states = ", ".join([*each["states"], *(["diverging"] if each["diverging"] else [])]) or "none here"
        counted = (f"{each['rows']:,}", f"{each['rejected']:,}")
        rows.append((each["table"], each["worker"], held, *counted, lag, age, states + _progress(each)))
    headings = ("table", "worker", "held", "rows", "rejected", "lag", "freshness", "state")
    show_columns(headings, rows, right=["rows", "rejected", "lag", "freshness"])


def _show_partitions(found: list[dict[str, Any]], silent: list[str]) -> None:
    for worker in silent:
        click.echo(f"{worker} does not answer")
    if not any(each["partitions"] for each in found):
        click.echo("no local worker holds a partition of this table: larder tables lists all tables")
        return
    rows = [
        (str(each["partition"]), table["worker"], each["phase"].replace("_", " "), *map(_figure, _measures(each)))
        for table in found
        for each in table["partitions"]
    ]
    headings = ("partition", "worker", "state", "position", "end", "lag", "freshness")
    show_columns(headings, sorted(rows, key=lambda row: (int(row[0]), row[1])), right=headings[3:])


def _measures(partition: dict[str, Any]) -> list[Any]:
    age = partition["freshness_s"]
    return [partition["position"], partition["end"], partition["lag"], None if age is None else f"{age:.1f} s"]


def _figure(measure: Any) -> str:
    return "?" if measure is None else measure if isinstance(measure, str) else f"{measure:,}"


def _progress(table: dict[str, Any]) -> str:
    """Return the progress of partitions that are behind: records left, rate, time to go."""
    behind = [each for each in table["partitions"] if each["remaining"]]
    if not behind:
        return ""
    left, rate = sum(each["remaining"] for each in behind), sum(each["rate"] for each in behind)
    expected = over_all(max, [each["expected_s"] for each in behind])
    end = "" if expected is None else f", {expected:.0f} s to go"
    return f": {left:,} left, {rate:,.0f} rows/s{end}"


def _numbers(table: dict[str, Any]) -> str:
    return ", ".join(str(each["partition"]) for each in table["partitions"]) or "none"
