"""Start, stop or inspect the local Kafka broker."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import click

from larder.cli.terminal.output import answer, json_option
from larder.client.brokers import existing_broker, local_broker, require_answer, running_broker
from larder.config.errors import MistakeError
from larder.declaring.problems import Problem
from larder.kafka.broker_probe import answers_now

if TYPE_CHECKING:
    from larder.local_broker import LocalBroker

WATCH_SECONDS = 0.5
NOT_RUNNING = 3

port_option = click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1 [default: 9092].")


@click.group("broker")
def command() -> None:
    """Start, stop or inspect the local Kafka broker.

    Its data stays in .larder/broker. With KAFKA=host:port (or `kafka` in larder.toml), Larder uses that broker instead.
    """


@command.command()
@port_option
@json_option
def start(*, port: int | None, as_json: bool) -> None:
    """Start the broker, unless it runs already, and wait until it answers."""
    if existing := existing_broker():
        require_answer(existing)
        found = {"bootstrap": existing.bootstrap, "started": False, "existing": True}
        answer(
            found,
            as_json=as_json,
            for_people=lambda: click.echo(f"{existing} is set and answers: Larder uses it"),
        )
        return
    broker = local_broker(port)
    started = broker.start()
    broker.wait_ready()
    _show_running(broker, started=started, as_json=as_json)


@command.command()
@json_option
def stop(*, as_json: bool) -> None:
    """Stop the broker of the data directory."""
    broker = local_broker()
    if existing_broker() != running_broker(broker):
        _refuse_existing("stop")
    stopped = broker.stop()
    text = "the local broker is stopped" if stopped else "no local broker was running"
    answer({"stopped": stopped}, as_json=as_json, for_people=lambda: click.echo(text))


@command.command()
@json_option
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """Report whether a broker is running and answers. The exit code is 3 if not."""
    existing = existing_broker()
    broker = local_broker()
    running = broker.running
    connection = existing or running_broker(broker)
    answering = connection is not None and answers_now(connection)
    found = {
        "bootstrap": connection and connection.bootstrap,
        "answers": answering,
        "existing": bool(existing),
        "pid": running.pid if running and not existing else None,
        "directory": None if existing else str(broker.directory),
    }
    text = (
        f"{connection} {'answers' if answering else 'does not answer'}" if connection else "no local broker is running"
    )
    answer(found, as_json=as_json, for_people=lambda: click.echo(text))
    ctx.exit(0 if answering else NOT_RUNNING)


@command.command()
@port_option
@json_option
def run(*, port: int | None, as_json: bool) -> None:
    """Run the broker until Ctrl-C or SIGTERM, then stop it."""
    _refuse_existing("run")
    broker = local_broker(port)
    # Not a threading.Event: this very thread may hold its lock when the signal arrives.
    received: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: received.append(number))
    if not broker.start():
        found = f"one running already ({broker.bootstrap})"
        raise MistakeError(Problem("larder broker run", "requires no other local broker", found, "stop that one first"))
    try:
        broker.wait_ready()
        _show_running(broker, started=True, as_json=as_json)
        while not received:
            time.sleep(WATCH_SECONDS)
            if not received and not broker.running:
                raise broker.death()
    finally:
        broker.stop()


def _refuse_existing(verb: str) -> None:
    if existing := existing_broker():
        found = f"{existing} (setting kafka), which Larder must not {verb}"
        raise MistakeError(Problem(f"larder broker {verb}", "requires the local broker", found, "unset KAFKA"))


def _show_running(broker: LocalBroker, *, started: bool, as_json: bool) -> None:
    found = {
        "bootstrap": broker.bootstrap,
        "started": started,
        "existing": False,
        "pid": broker.running.pid if broker.running else None,
        "directory": str(broker.directory),
    }
    how = "has started" if started else "was running already"
    text = f"{broker.bootstrap} answers: the local broker {how}, its files are in {broker.directory}"
    answer(found, as_json=as_json, for_people=lambda: click.echo(text))
