"""Settings that contradict each other, those of the brokers, or the declarations. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from larder.declaring.plurals import counted
from larder.doctor.audits.transactions import CAPPED
from larder.doctor.findings import Finding
from larder.doctor.mending import larder_setting, set_brokers, set_static, set_topic
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.declaring.service import Service
    from larder.doctor.facts import System

AUDIT = "settings"

SHORTEST_SESSION: Final = 6_000
"""group.min.session.timeout.ms of a stock broker."""

LONGEST_SESSION: Final = 1_800_000
"""group.max.session.timeout.ms of a stock broker."""


def together(system: System) -> Iterator[Finding]:
    """Find contradictory settings."""
    return chain(_session(system), _services(system), _in_sync(system))


def _session(system: System) -> Iterator[Finding]:
    session = int(system.settings.session_timeout_s * 1000)
    least = system.brokers.number("group.min.session.timeout.ms", SHORTEST_SESSION)
    most = system.brokers.number("group.max.session.timeout.ms", LONGEST_SESSION)
    if not least <= session <= most:
        name, bound = ("group.min.session.timeout.ms", least) if session < least else (
            "group.max.session.timeout.ms", most,
        )  # fmt: skip
        yield Finding(
            Severity.ERROR,
            AUDIT,
            "setting session_timeout_s",
            f"{system.settings.session_timeout_s:g} s; the brokers have {name}={bound}",
            "the brokers do not let workers join their group: they exit with an error",
            (larder_setting("session_timeout_s", bound / 1000), f"or {set_static(name, session)}"),
        )


def _services(system: System) -> Iterator[Finding]:
    settings = system.settings
    for service in system.services:
        members = len(system.groups[service.name].workers) if service.name in system.groups else 0
        if service.has_state and settings.guarantee != "exactly_once":
            yield Finding(
                Severity.ERROR,
                AUDIT,
                f"service {service.name}",
                f'guarantee = "{settings.guarantee}"; it has tables of its own',
                "an event that is read twice would be decided on twice: its workers refuse to start",
                (larder_setting("guarantee", "exactly_once"),),
            )
        if settings.standby and members == 1:
            yield Finding(
                Severity.WARNING,
                AUDIT,
                f"service {service.name}",
                f"standby = {settings.standby}; one worker in its group",
                "no other worker can keep a warm copy: when this one dies, its partitions stall",
                (f"larder worker {service.name} --name {service.name}-2",),
            )
        if (most := _partitions(system, service)) and members > most:
            yield Finding(
                Severity.HINT,
                AUDIT,
                f"service {service.name}",
                f"{counted(members, 'worker')} in its group; its inputs have at most {counted(most, 'partition')}",
                "one worker processes a partition: the others have nothing to do, unless they are standbys",
                ("stop the others, or give its inputs more partitions",),
            )


def _partitions(system: System, service: Service) -> int:
    """Return the highest number of partitions of the service's inputs, internal ones included."""
    inputs = {tp.topic for tp in system.groups[service.name].committed} if service.name in system.groups else set()
    return max((topic.partitions for name, topic in system.topics.items() if name in inputs), default=0)


def _in_sync(system: System) -> Iterator[Finding]:
    """Find topics that require more in-sync replicas than they have, and unclean leader elections."""
    for name in dict.fromkeys(use.name for _, use in system.uses if use.owned):
        topic = system.topics.get(name)
        if topic is None or (least := topic.number("min.insync.replicas", 1)) <= topic.replicas:
            continue
        yield Finding(
            Severity.HINT,
            AUDIT,
            f"topic {name}",
            f"min.insync.replicas={least}; a partition has {counted(topic.replicas, 'replica')}",
            CAPPED.format(topic.replicas),
            (set_topic(system.bootstrap, name, min_insync_replicas=max(1, topic.replicas - 1)),),
        )
    if system.brokers.config.get("unclean.leader.election.enable") == "true" and system.brokers.up > 1:
        yield Finding(
            Severity.WARNING,
            AUDIT,
            "the brokers",
            "unclean.leader.election.enable=true",
            "a replica that lacks records may become the leader: acknowledged rows and offsets are lost",
            (set_brokers(system.bootstrap, unclean_leader_election_enable="false"),),
        )
