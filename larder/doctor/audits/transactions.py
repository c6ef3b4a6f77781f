"""Whether the brokers support the transactions that workers need. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from larder.declaring.plurals import counted
from larder.delivery.guarantees import TRANSACTION_TIMEOUT_MS
from larder.doctor.findings import Finding
from larder.doctor.mending import larder_setting, set_static, set_topic
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.doctor.facts import System

AUDIT = "settings"

LONGEST_TRANSACTION: Final = 900_000
"""transaction.max.timeout.ms of a stock broker."""

_TRANSACTIONS: Final = "__transaction_state"

CAPPED: Final = "brokers since 3.7 require only {} of them, as many as there are; older ones acknowledge nothing"
"""What follows from a minimum of in-sync replicas above the number of replicas (KAFKA-15583)."""

REPLICAS: Final = 3
"""transaction.state.log.replication.factor of a stock broker."""


def transactions(system: System) -> Iterator[Finding]:
    """Compare what workers need with the settings of the brokers; no findings if workers need no transactions."""
    if system.settings.guarantee != "exactly_once":
        return
    if system.settings.commit_interval_ms >= TRANSACTION_TIMEOUT_MS:
        yield Finding(
            Severity.ERROR,
            AUDIT,
            "setting commit_interval_ms",
            f"{system.settings.commit_interval_ms}; the broker ends a transaction after {TRANSACTION_TIMEOUT_MS} ms",
            "each transaction ends before it is committed, and its records are processed again and again",
            (larder_setting("commit_interval_ms", 200),),
        )
    longest = system.brokers.number("transaction.max.timeout.ms", LONGEST_TRANSACTION)
    if longest < TRANSACTION_TIMEOUT_MS:
        yield Finding(
            Severity.ERROR,
            AUDIT,
            "the brokers",
            f"transaction.max.timeout.ms={longest}; workers need {TRANSACTION_TIMEOUT_MS}",
            "the brokers refuse the transactions of workers, which publish nothing",
            (set_static("transaction.max.timeout.ms", LONGEST_TRANSACTION),),
        )
    yield from _transaction_log(system)


def _transaction_log(system: System) -> Iterator[Finding]:
    """Check that there are enough brokers for the transaction log, which they create at the first transaction."""
    factor, isr = "transaction.state.log.replication.factor", "transaction.state.log.min.isr"
    brokers, made = system.brokers, system.brokers.transaction_replicas is not None
    replicas = brokers.transaction_replicas or brokers.number(factor, REPLICAS)
    least = brokers.transaction_in_sync if made else brokers.number(isr, 2)
    without = f"or {larder_setting('guarantee', 'at_least_once')}"
    do = (set_static(factor, min(brokers.up, REPLICAS)), set_static(isr, max(1, min(brokers.up, REPLICAS) - 1)),
          without)  # fmt: skip
    if not made and replicas > brokers.up:
        yield Finding(
            Severity.ERROR,
            AUDIT,
            "the brokers",
            f"{factor}={replicas}; brokers that are up: {brokers.up}",
            "the brokers cannot create the transaction log: workers wait for a coordinator and publish nothing",
            do,
        )
    elif brokers.up > 1 and replicas == 1:
        yield Finding(
            Severity.WARNING,
            AUDIT,
            "the brokers",
            f"the transaction log has one replica; brokers that are up: {brokers.up}",
            "while the broker that has it is down, no worker publishes; if its disk is lost, open transactions hang",
            (
                (
                    f"kafka-reassign-partitions.sh --bootstrap-server {system.bootstrap} --execute"
                    f" --reassignment-json-file FILE (which gives {_TRANSACTIONS}"
                    f" {counted(min(brokers.up, REPLICAS), 'replica')})"
                ),
            ),
        )
    elif least > replicas:
        yield Finding(
            Severity.HINT,
            AUDIT,
            "the brokers",
            f"{'min.insync.replicas' if made else isr}={least}; the transaction log has {counted(replicas, 'replica')}",
            CAPPED.format(replicas),
            (set_topic(system.bootstrap, _TRANSACTIONS, min_insync_replicas=max(1, replicas - 1)), without)
            if made
            else do,
        )
